"""What an N:M array did: work, time, and where the time went.

:func:`summarize` gives the part of a report (:mod:`sw.host.report`) with these keys, which stay as
they are. Counts are totals over the batch unless their name says ``per_image``. A *slot* is a
multiplier in a cycle: there are ``rows * columns * multipliers`` in each.

``config_digest``, ``rows``, ``columns``, ``multipliers``
    For which configuration it ran; ``multipliers`` of a MAC unit.
``layers``
    A list in order of the network; each has ``name``, ``inputs`` and ``outputs`` (of a token),
    ``mode`` (its pattern), ``gather`` (its strips drop inputs), ``tokens`` (of all images) and the
    following.
``cycles``, ``control``, ``busy``, ``weight_wait``, ``act_wait``, ``drain_wait``, ``tail``,
``loads``, ``results``
    All of :data:`spec.nm.counters.COUNTERS`. Loading is in the cycles.
``cycles_per_image``
    The same cycles, divided by the images.
``macs``, ``useful_slots``, ``utilization``
    Weights that are not zero, times tokens; weights that the pattern keeps, zeros among them
    included, times tokens; and ``useful_slots / (slots * cycles)``.
``lost``
    The other slots by cause: those of :data:`spec.nm.counters.LOST`, in which no step was issued,
    and ``padding``, which a step had nothing to put in. ``useful_slots`` and all causes add up to
    ``slots * cycles``.
``cycles`` ... ``lost``
    The same once more at the top, over the whole network.
"""

from collections import Counter
from collections.abc import Sequence

from spec.errors import UserError
from spec.nm.config import NmConfig
from spec.nm.counters import COUNTERS, LOST
from spec.nm.cycles import RunCounts
from spec.nm.program import Layer, Program, useful_slots
from sw.host.table import align

PADDING = "padding"


def summarize(program: Program, images: int, counts: Sequence[RunCounts]) -> dict:
    """The part of a report that this module's docstring describes; of a chain."""
    config = program.config
    if len(program.layers) != len(counts):
        raise UserError(
            f"the program has {len(program.layers)} layers, the counters are of {len(counts)} runs"
        )
    layers, total = [], Counter()
    for layer, count in zip(program.layers, counts, strict=True):
        sums = _sums(layer, layer.tokens * images, count)
        total.update(sums)
        size = {name: getattr(layer, name) for name in ("inputs", "outputs", "mode", "gather")}
        own = {"name": layer.name} | size | {"tokens": layer.tokens * images}
        layers.append(own | _account(config, images, sums))
    return {
        "config_digest": config.digest,
        "rows": config.rows,
        "columns": config.columns,
        "multipliers": config.multipliers,
        "layers": layers,
        **_account(config, images, total),
    }


def _sums(layer: Layer, tokens: int, count: RunCounts) -> dict[str, int]:
    """What layers may be added up by."""
    return dict(zip(COUNTERS, count.values, strict=True)) | {
        "macs": layer.weights * tokens,
        "useful_slots": useful_slots(layer, tokens),
    }


def _account(config: NmConfig, images: int, sums: dict[str, int]) -> dict:
    """Sums, and what follows from them."""
    useful, cycles = sums["useful_slots"], sums["cycles"]
    return {
        **sums,
        "cycles_per_image": cycles / images,
        "utilization": useful / (config.slots * cycles),
        "lost": {name: config.slots * sums[name] for name in LOST}
        | {PADDING: config.slots * sums["busy"] - useful},
    }


def title(summary: dict) -> str:
    """The array."""
    return (
        f"{summary['rows']} x {summary['columns']} MAC units of {summary['multipliers']} "
        f"multipliers, configuration {summary['config_digest']}"
    )


def lines(summary: dict) -> list[str]:
    """A table of layers, with causes in percent of all slots, and what there is to add."""
    heads = ["layer", "size", "pattern", "tokens", "MACs", "cycles/image", "utilization"]
    rows = [_row(layer, summary) for layer in summary["layers"]]
    if len(rows) > 1:
        rows.append(_row({"name": "all", **summary}, summary))
    streams = (
        f"streams took {summary['loads']} words in and {summary['results']} words of results out"
    )
    return [*align([[*heads, *LOST, PADDING], *rows]), "", streams]


def _row(part: dict, summary: dict) -> list[str]:
    """Cells of one layer, or of the whole network."""
    sizes = [""] * 3
    if "mode" in part:
        gathered = ", gathered" if part["gather"] else ""
        size = f"{part['inputs']}x{part['outputs']}"
        sizes = [size, part["mode"] + gathered, str(part["tokens"])]
    slots = summary["rows"] * summary["columns"] * summary["multipliers"] * part["cycles"]
    return [
        part["name"],
        *sizes,
        str(part["macs"]),
        f"{part['cycles_per_image']:.1f}",
        f"{part['utilization']:.1%}",
        *(f"{lost / slots:.1%}" for lost in part["lost"].values()),
    ]
