"""The section *Measured* of ``docs/transformer.md``, made from ``results/nm_real.json``."""

from sim.bench.markdown import percent, table
from sim.bench.real_nm import DENSE, PATTERN

_TEXT = """\
## Measured

{source}
{sentences} sentences are {tokens} tokens, {filler} of them filler up to the longest one. Written
by `python -m sim.bench real-nm` into `results/nm_real.json`, on preset `{preset}`.

**What integers and 2:4 cost.** The cosine of a sentence's embedding to that of a network in
floating point, the mean (and the smallest) over the sentences; and for how many of them, of all
others, the one that says the same in other words is the nearest. Int8 comes to within
{int8_loss:.4f} of the float network with the same zeros. Pruning without retraining costs much
more: that is to be won back by training ([compression](compress/index.md)), not by the array.

"""

_SCALES = """
**What scales are for.** The same 2:4 network in int8 on the same sentences:

"""

_COSTS = """
**Cycles.** All sentences at once, loading included, predicted by the golden model; bytes are all
words of the packed layers. Weights and places alone take {weights} of the dense matrices' bytes.

"""

_SIMULATED = """
**In Verilator.** Encoder layer {number} as a whole, its six Linear layers on the simulated array:
{tokens} tokens in {cycles:,} cycles, every output and every counter equal to the golden model's.
"""


def measured(document: dict) -> str:
    """The section as Markdown; equal documents give equal sections."""
    found = {one["network"]: one["cosine"] for one in document["embeddings"]}
    loss = 1 - found[f"int8 {PATTERN}"][f"float {PATTERN}"]["mean"]
    sparse, simulated = document["costs"][str(PATTERN)], document["encoder_layer"]
    weights = percent(sparse["bytes_of_weights"] / sparse["weights"])
    return "".join(
        [
            _TEXT.format(int8_loss=loss, **document),
            _embeddings(document),
            _SCALES,
            _scales(document),
            _COSTS.format(weights=weights),
            _costs(document),
            _SIMULATED.format(**simulated),
        ]
    )


def _embeddings(document: dict) -> str:
    others = list(document["embeddings"][0]["cosine"])
    rows = []
    for one in document["embeddings"]:
        found = f"{one['partners']} of {document['sentences']}"
        rows.append([one["network"], *(cosine(one["cosine"][to]) for to in others), found])
    return table(["network", *(f"to {to}" for to in others), "partner is nearest"], rows)


def _scales(document: dict) -> str:
    titles = {
        ("tensor", True): "one for all inputs, one for all outputs",
        ("row", True): "one for all inputs, one for each output",
        ("row", False): "one for each input (migration {migration}), one for each output",
    }
    rows = []
    for one in document["scales"]:
        title = titles[one["scales"], one["migration"] is None].format(**one)
        rows.append([title, cosine(one)])
    return table(["scales of a layer", f"to float {PATTERN}"], rows)


def cosine(one: dict) -> str:
    """Mean and smallest, as people write them."""
    return f"{one['mean']:.4f} ({one['min']:.4f})"


def _costs(document: dict) -> str:
    dense, sparse = document["costs"][DENSE], document["costs"][str(PATTERN)]
    rows = []
    for one, other in zip([*dense["kinds"], dense], [*sparse["kinds"], sparse], strict=True):
        kind, size = "all", ""
        if "kind" in one:
            kind = f"{one['layers']} × `{one['kind']}`"
            size = f"{one['outputs']} × {one['inputs']}"
        rows.append(
            [
                kind,
                size,
                one["cycles"],
                other["cycles"],
                f"{other['cycles'] / one['cycles']:.4f}",
                f"{100 * one['utilization']:.1f}",
                f"{100 * other['utilization']:.1f}",
                other["bytes"],
                percent(other["bytes"] / one["bytes"]),
            ]
        )
    head = ["layers", "size", "dense cycles", f"{PATTERN} cycles", f"{PATTERN} / dense"]
    head += ["% used, dense", f"% used, {PATTERN}", f"{PATTERN} bytes", "of dense"]
    return table(head, rows)
