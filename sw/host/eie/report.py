"""What an EIE array did: work, time, and where the time went.

:func:`summarize` gives the part of a report (:mod:`sw.host.report`) with these keys, which stay as
they are. Counts are totals over the batch unless their name says ``per_image`` or ``per_time``:
``lanes`` images have one time together.

``config_digest``, ``pes``, ``lanes``, ``times``
    For which configuration it ran; ``times`` is ``ceil(images / lanes)``. An image may be a
    sequence of several steps.
``layers``
    A list in order of the network; each has ``name``, ``inputs``, ``outputs``, ``passes`` (tiles
    that it was cut into) and the following.
``cycles``, ``cycles_per_time``, ``cycles_per_image``
    Of computing; what is not hidden of ``loading`` comes on top.
``macs``, ``utilization``
    Useful multiply-accumulates (one for each non-zero weight that met a non-zero activation), and
    ``macs / (pes * lanes * cycles)``.
``busy``, ``gated``, ``occupancy``
    PE-cycles in which a weight was at work; the lanes that it found a zero in meanwhile, so that
    ``macs = busy * lanes - gated``; and ``busy / (pes * cycles)``.
``lost``
    The other PE-cycles by cause, under the names of :data:`spec.eie.counters.LOST`; ``busy`` and
    all causes add up to ``pes * cycles``.
``stalls``, ``most_blocking_pe``
    Cycles in which a broadcast waited for a full queue, and the PE whose queue it was most often
    (null if it never waited).
``lines``
    Lines that all PEs read.
``loading``
    ``words`` that the host wrote for these runs, a cycle each: those ``hidden`` behind the runs
    before, and those ``exposed``. A run's words belong to the layer of its first pass.
``cycles`` ... ``loading``
    The same once more at the top, over the whole network.
``counters``
    A list with one item per pass in order of execution: ``segment``, ``layer`` (its name), all of
    :data:`spec.eie.counters.ARRAY_COUNTERS`, ``pes`` (all of :data:`spec.eie.counters.PE_COUNTERS`,
    summed over the PEs) and ``most_blocking_pe``.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from spec.eie.counters import ARRAY_COUNTERS, LOST, PE_COUNTERS
from spec.eie.cycles import PassCounts
from spec.eie.program import Program
from spec.eie.vectors import order_of_runs
from spec.errors import UserError
from sw.host.table import align


def summarize(program: Program, images: int, counts: Sequence[PassCounts]) -> dict:
    """The part of a report that this module's docstring describes."""
    steps = list(program.passes())
    if len(steps) != len(counts):
        raise UserError(f"the program has {len(steps)} passes, the counters are of {len(counts)}")
    times = -(-images // program.config.lanes)
    exposed = _exposed(program, counts, times)
    layers = []
    for index, layer in enumerate(program.layers):
        own = [number for number, (_, _, step) in enumerate(steps) if step.layer == index]
        size = {"inputs": layer.inputs, "outputs": layer.outputs, "passes": len(own)}
        account = _account(program, [counts[number] for number in own], exposed[own], images)
        layers.append({"name": layer.name} | size | account)
    return {
        "config_digest": program.config.digest,
        "pes": program.config.pes,
        "lanes": program.config.lanes,
        "times": times,
        "layers": layers,
        **_account(program, counts, exposed, images),
        "counters": [
            {"segment": segment, "layer": program.layers[step.layer].name} | _sums(one)
            for (segment, _, step), one in zip(steps, counts, strict=True)
        ],
    }


def _exposed(program: Program, counts: Sequence[PassCounts], groups: int) -> np.ndarray:
    """Words of each pass that were not written behind the run before. int64, shape (passes,)."""
    exposed = np.array([one.of("loads").sum() for one in counts], np.int64)
    steps = len(counts[0].array) // groups if groups else 1
    spans, first = {}, 0
    for _, run in program.runs():
        spans[id(run)] = slice(first, first + len(run.passes))
        first += len(run.passes)
    # All runs behind each other. Nothing is before the first.
    hidden = {
        key: np.sum([one.of("hidden") for one in counts[span]], axis=0)
        for key, span in spans.items()
    }
    ran: Counter[int] = Counter()
    before = 0
    for _, run in order_of_runs(program, steps) * groups:
        exposed[spans[id(run)].start] -= before
        before = hidden[id(run)][ran[id(run)]]
        ran[id(run)] += 1
    return exposed


def _account(
    program: Program, counts: Sequence[PassCounts], exposed: np.ndarray, images: int
) -> dict:
    """Work, time and losses of some passes together."""
    pes, lanes = program.config.pes, program.config.lanes
    in_array: dict[str, int] = dict.fromkeys(ARRAY_COUNTERS, 0)
    in_pes = np.zeros((pes, len(PE_COUNTERS)), np.int64)
    for one in counts:
        for name, value in zip(ARRAY_COUNTERS, one.array.sum(axis=0).tolist(), strict=True):
            in_array[name] += value
        in_pes += one.pe.sum(axis=0)
    in_pe = dict(zip(PE_COUNTERS, in_pes.sum(axis=0).tolist(), strict=True))
    cycles, busy, words = in_array["cycles"], in_pe["busy"], in_array["loads"]
    macs = busy * lanes - in_pe["gated"]
    apart = int(exposed.sum())
    return {
        "cycles": cycles,
        "cycles_per_time": cycles / -(-images // lanes) if images else 0.0,
        "cycles_per_image": cycles / images if images else 0.0,
        "macs": macs,
        "utilization": macs / (pes * lanes * cycles) if cycles else 0.0,
        "busy": busy,
        "gated": in_pe["gated"],
        "occupancy": busy / (pes * cycles) if cycles else 0.0,
        # A cause counted by central control costs every PE a cycle.
        "lost": {name: in_pe[name] if name in in_pe else pes * in_array[name] for name in LOST},
        "stalls": in_array["stalls"],
        "most_blocking_pe": _most_blocking(in_pes),
        "lines": in_pe["lines"],
        "loading": {"words": words, "hidden": words - apart, "exposed": apart},
    }


def _sums(one: PassCounts) -> dict:
    """All counters of one pass."""
    in_pes = one.pe.sum(axis=0)
    return {
        **dict(zip(ARRAY_COUNTERS, one.array.sum(axis=0).tolist(), strict=True)),
        "pes": dict(zip(PE_COUNTERS, in_pes.sum(axis=0).tolist(), strict=True)),
        "most_blocking_pe": _most_blocking(in_pes),
    }


def _most_blocking(in_pes: np.ndarray) -> int | None:
    """The PE that broadcasts waited for most often, if they ever did."""
    blocking = in_pes[:, PE_COUNTERS.index("blocking")]
    return int(np.argmax(blocking)) if blocking.any() else None


def title(summary: dict) -> str:
    """The array."""
    lanes = f" of {summary['lanes']} lanes" if summary["lanes"] > 1 else ""
    return f"{summary['pes']} PEs{lanes}, configuration {summary['config_digest']}"


def lines(summary: dict) -> list[str]:
    """A table of layers, with causes in percent of all PE-cycles, and what there is to add."""
    heads = ["layer", "size", "MACs", "cycles/image", "utilization", *LOST]
    rows = [_row(layer, summary) for layer in summary["layers"]]
    if len(rows) > 1:
        rows.append(_row({"name": "all", **summary}, summary))
    return [*align([heads, *rows]), "", _stalls(summary), _loading(summary), *_gated(summary)]


def _row(part: dict, summary: dict) -> list[str]:
    """Cells of one layer, or of the whole network."""
    slots = max(1, summary["pes"] * part["cycles"])
    size = f"{part['inputs']}x{part['outputs']}" if "inputs" in part else ""
    return [
        part["name"],
        size,
        str(part["macs"]),
        f"{part['cycles_per_image']:.1f}",
        f"{part['utilization']:.1%}",
        *(f"{part['lost'][name] / slots:.1%}" for name in LOST),
    ]


def _stalls(summary: dict) -> str:
    """How long broadcasts waited, and for whom."""
    if not summary["stalls"]:
        return "broadcasts never waited"
    return (
        f"broadcasts waited {summary['stalls']} of {summary['cycles']} cycles, "
        f"most often for PE {summary['most_blocking_pe']}"
    )


def _loading(summary: dict) -> str:
    """What the host wrote, and how much of that took time of its own."""
    loading = summary["loading"]
    if not loading["hidden"]:
        return f"loading takes {loading['words']} cycles more, a word in each"
    return (
        f"loading takes {loading['exposed']} cycles more, a word in each; "
        f"{loading['hidden']} words were hidden behind runs"
    )


def _gated(summary: dict) -> list[str]:
    """With several lanes: how many of them had nothing to multiply."""
    if summary["lanes"] == 1:
        return []
    slots = max(1, summary["busy"] * summary["lanes"])
    return [
        f"a weight was at work in {summary['occupancy']:.1%} of all PE-cycles, "
        f"with zeros in {summary['gated'] / slots:.1%} of its lanes"
    ]
