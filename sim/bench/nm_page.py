"""The section *Measured* of ``docs/nm.md``, made from ``results/nm_layers.json`` and
``results/nm_agreement.json``."""

from sim.bench.gemms import BERT
from sim.bench.markdown import percent, table
from sim.bench.nm import COMPARED, met
from spec.errors import UserError

BEGIN = "<!-- measured: made by `python -m sim.bench page` -->\n"
END = "<!-- end of measured -->\n"

_TEXT = """\
## Measured

Predicted cycles of whole runs, loading included, of layers with random weights: BERT-base's
matrices (outputs × inputs) on {tokens} tokens, and cubes. Weights are packed and the words of the
packed layer counted; *stored* is all of them, as a part of the dense matrix's bits. *TVW* drops
half of each strip's inputs and keeps 2:4 of the others: 75 % zeros. Written by
`python -m sim.bench nm` into `results/nm_layers.json`.

"""

_AGREED = """
In Verilator, at full size, in every mode of the array and gathered: {runs} runs of {layers} layers
on presets {presets}, outputs, cycles and counters as predicted, at {slowest:,} to {fastest:,}
cycles per second (`python -m sim.bench nm --on verilator`, `results/nm_agreement.json`).
"""

_TITLES = {"dense": "dense", "2:4": "2:4", "1:4": "1:4", "tvw-75": "TVW 75 %"}


def measured(layers: dict, agreement: dict) -> str:
    """The section as Markdown; equal documents give equal sections."""
    tokens = next(one["tokens"] for one in layers["layers"] if one["name"] in BERT)
    parts = [_TEXT.format(tokens=tokens), _cycles(layers)]
    parts += ["\nAgainst what was aimed at, the worst of the layers named:\n\n", _targets(layers)]
    return "".join([*parts, _agreement(agreement)])


def put(page: str, section: str) -> str:
    """A page with another section between its marks."""
    before, found, rest = page.partition(BEGIN)
    _, closed, behind = rest.partition(END)
    if not found or not closed:
        raise UserError(f"the page has no place for what was measured: {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}{section}{END}{behind}"


def _cycles(document: dict) -> str:
    """Cycles and their ratios, layer by layer."""
    rows = []
    for layer in document["layers"]:
        row = [layer["name"], f"`{layer['preset']}`"]
        for key in COMPARED:
            one = layer["patterns"][key]
            row.append(str(one["cycles"]) if key == "dense" else f"{one['ratio']:.3f}")
        for key in ("dense", "2:4", "1:4", "tvw-75"):
            row.append(f"{100 * layer['patterns'][key]['utilization']:.1f}")
        rows.append([*row, percent(layer["patterns"]["2:4"]["stored"])])
    ratios = [f"{_TITLES[key]} / dense" for key in COMPARED if key != "dense"]
    used = [f"% used, {_TITLES[key]}" for key in COMPARED]
    return table(["layer", "preset", "dense cycles", *ratios, *used, "2:4 stored"], rows)


def _targets(document: dict) -> str:
    rows = []
    for target in document["targets"]:
        row: list[object] = [target["what"], f"{target['side']} {target['target']:g}"]
        for name, value in target["found"].items():
            row.append(f"{value:.4f}" + ("" if met(target, name) else ", not met"))
        rows.append(row)
    presets = [f"`{name}`" for name in document["config_digests"]]
    return table(["", "target", *presets], rows)


def _agreement(document: dict) -> str:
    runs = document["layers"]
    speeds = [one["cycles_per_second"] for one in runs]
    return _AGREED.format(
        runs=len(runs),
        layers=len({one["name"] for one in runs}),
        presets=" and ".join(f"`{name}`" for name in document["config_digests"]),
        slowest=min(speeds),
        fastest=max(speeds),
    )
