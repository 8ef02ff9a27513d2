"""The page ``docs/compress/results.md``, made from ``results/compress_*.json``."""

from collections.abc import Callable, Mapping, Sequence

from sim.bench.compress_seeds import with_spread
from sim.bench.markdown import percent, table

Document = dict

_HEAD = """\
# Results: what compression reaches

<!-- made by `python -m sim.bench page` -->

Figures are means over three seeds, with the standard deviation of a single one behind ±. Each
section names the command that writes its file under `results/`; pictures come by `make data`.
"""

_MINILM = """
## 2:4 without training, on a real transformer

{source}

{table}
Regression moves the weights that stay, so that each layer's outputs on the calibration data change
least. On {documents} documents, ratings tell little between methods that are near to the dense
network; the cosine says how near the embeddings still are.

Written by `{command}` into `results/{file}`.
"""

_PERMUTATION = """
## Channel permutation

{source}

{table}
On their matrix we close {published} by their count. Written by `{command}` into `results/{file}`.
"""

_LARGE = """
## A large layer

{source} In total {seconds} s and {gigabytes} GB.

{table}
Written by `{command}` into `results/{file}`.
"""

_LENET = """
## {title} on MNIST

{source}

{table}
Published: {published}

Written by `{command}` into `results/{file}`.
"""

_FASHION = """
## N:M on Fashion-MNIST

{source}

{table}
Written by `{command}` into `results/{file}`.
"""

_RANKING = """
## Criteria on Fashion-MNIST

{source} Dense: {dense} % error. The least of each column is set in bold.

### Weights

{weights}
### Channels

{channels}
Written by `{command}` into `results/{file}`.
"""


def page(documents: Mapping[str, Document]) -> str:
    """The page as Markdown, from the documents by name; equal ones give equal pages."""
    parts = [tell(f"{name}.json", documents[name]) for name, tell in SECTIONS.items()]
    return "".join([_HEAD, *parts])


def lenet(title: str) -> Callable[[str, Document], str]:
    """The section on one of the two networks."""

    def section(file: str, document: Document) -> str:
        rows: list[Sequence[object]] = [
            [
                "all",
                with_spread(document["dense_error"]),
                "",
                str(document["dense_bytes"]),
                "1",
            ]
        ]
        for one in document["levels"]:
            rows.append(
                [
                    f"{100 * one['density']:.2f} %",
                    with_spread(one["pruned_error"]),
                    f"{with_spread(one['shared_error'])} ({one['bits']} bits)",
                    with_spread(one["bytes"], 0),
                    with_spread(one["ratio"], 1),
                ]
            )
        head = ["weights kept", "pruned: error %", "shared: error %", "bytes", "times smaller"]
        filled = table(head, rows)
        published = document["published"]
        return _LENET.format(
            title=title, file=file, table=filled, published=published, **_said(document)
        )

    return section


def fashion(file: str, document: Document) -> str:
    """The section on N:M."""
    rows = [[name, with_spread(value)] for name, value in document["errors"].items()]
    return _FASHION.format(file=file, table=table(["", "error %"], rows), **_said(document))


def ranking(file: str, document: Document) -> str:
    """The section on criteria: a table for weights, and one for channels."""
    tables = {
        kind: _ranked([one for one in document["rows"] if one["pattern"] == pattern], gone)
        for kind, pattern, gone in (
            ("weights", "unstructured", "zeros"),
            ("channels", "channel", "removed"),
        )
    }
    dense = with_spread(document["dense_error"])
    return _RANKING.format(file=file, dense=dense, **tables, **_said(document))


def minilm(file: str, document: Document) -> str:
    """The section on the transformer."""
    magnitude = document["magnitude"]
    rows = [
        ["dense", f"{document['dense']:.3f}", "0 %", "1"],
        [
            "magnitude",
            f"{magnitude['pearson']:.3f}",
            "100 %",
            f"{magnitude['cosine']['mean']:.3f}",
        ],
    ]
    for one in document["methods"]:
        rows.append(
            [
                one["method"],
                with_spread(one["pearson"], 3),
                f"{100 * one['share_of_loss']:.0f} %",
                f"{one['cosine']:.3f}",
            ]
        )
    head = ["2:4 by", "Pearson", "of magnitude's loss", "cosine to dense"]
    filled = table(head, rows)
    documents = document["documents"]
    return _MINILM.format(file=file, table=filled, documents=documents, **_said(document))


def permutation(file: str, document: Document) -> str:
    """The section on random matrices."""
    rows = [
        [
            f"{one['values']} {one['matrix']}",
            one["pattern"],
            f"{one['plain']['mean']:.0f}",
            f"{one['permuted']['mean']:.0f}",
            f"{one['unstructured']['mean']:.0f}",
            percent(one["closed"]["mean"]),
            percent(one["closed_of_rows"]["mean"]),
            f"{one['seconds']['mean']:.1f}",
        ]
        for one in document["figures"]
    ]
    head = ["matrix", "pattern", "plain", "permuted", "unstructured", "closed", "by rows", "s"]
    return _PERMUTATION.format(
        file=file,
        table=table(head, rows),
        published=percent(document["published"]["closed_of_rows"]),
        **_said(document),
    )


def large(file: str, document: Document) -> str:
    """The section on time and memory."""
    rows = [
        [
            f"seed {one['seed']}",
            *(f"{one['seconds'][step]:.1f}" for step in ("prune", "share", "total")),
            f"{one['gigabytes']:.2f}",
        ]
        for one in document["seeds"]
    ]
    return _LARGE.format(
        file=file,
        seconds=with_spread(document["total_seconds"], 1),
        gigabytes=with_spread(document["gigabytes"]),
        table=table(["", "prune, s", "share, s", "total, s", "peak, GB"], rows),
        **_said(document),
    )


def _said(document: Document) -> dict[str, str]:
    return {key: document[key] for key in ("source", "command")}


def _ranked(rows: Sequence[Document], gone: str) -> str:
    """Criteria against what is gone; errors right after pruning and after fine-tuning."""
    densities = sorted({one["density"] for one in rows}, reverse=True)
    best = {
        (density, when): min(one[when]["mean"] for one in rows if one["density"] == density)
        for density in densities
        for when in ("pruned_error", "tuned_error")
    }
    lines: dict[str, list[str]] = {}
    for one in rows:
        cells = lines.setdefault(one["criterion"], [f"`{one['criterion']}`"])
        for when in ("pruned_error", "tuned_error"):
            text = with_spread(one[when], 1)
            least = one[when]["mean"] == best[one["density"], when]
            cells.append(f"**{text}**" if least else text)
    head = ["error %"]
    for density in densities:
        share = f"{100 * (1 - density):g} % {gone}"
        head += [share, f"{share}, tuned"]
    return table(head, list(lines.values()))


SECTIONS: dict[str, Callable[[str, Document], str]] = {
    "compress_lenet_300_100": lenet("LeNet-300-100"),
    "compress_lenet_5": lenet("LeNet-5"),
    "compress_fashion_nm": fashion,
    "compress_fashion_criteria": ranking,
    "compress_minilm": minilm,
    "compress_permutation": permutation,
    "compress_large": large,
}
"""What each result is told by, in the page's order."""
