"""The report of a run: what was computed, how long it took, and where the time went.

:func:`make_report` gives one JSON-ready dictionary with these keys, which stay as they are. Counts
are totals over the batch unless their name says ``per_image`` or ``per_time``: ``lanes`` images
have one time together.

``device``, ``config_digest``, ``pes``, ``lanes``, ``images``, ``times``
    What ran, for which configuration, and on how many images; ``times`` is
    ``ceil(images / lanes)``. An image may be a sequence of several steps.
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
``outputs``, ``output_scale``
    Integers, one list per image (for a sequence whose every step is wanted, one per image and
    step); ``real = integer * output_scale``.
``tools``
    Name and version of every tool that took part.

With ``--compare``, ``sim.run`` adds ``compare``: the other ``device``, whether all is ``equal``,
and the first ``difference``.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from spec.eie.counters import ARRAY_COUNTERS, LOST, PE_COUNTERS
from spec.eie.cycles import PassCounts
from spec.eie.program import Program
from spec.eie.vectors import order_of_runs
from spec.errors import UserError
from sw.host.device import Device


def make_report(
    device: Device, program: Program, outputs: np.ndarray, counts: Sequence[PassCounts]
) -> dict:
    """The dictionary that this module's docstring describes."""
    steps = list(program.passes())
    if len(steps) != len(counts):
        raise UserError(f"the program has {len(steps)} passes, the counters are of {len(counts)}")
    images = len(outputs)
    times = -(-images // program.config.lanes)
    exposed = _exposed(program, counts, times)
    layers = []
    for index, layer in enumerate(program.layers):
        own = [number for number, (_, _, step) in enumerate(steps) if step.layer == index]
        size = {"inputs": layer.inputs, "outputs": layer.outputs, "passes": len(own)}
        account = _account(program, [counts[number] for number in own], exposed[own], images)
        layers.append({"name": layer.name} | size | account)
    return {
        "device": device.name,
        "config_digest": program.config.digest,
        "pes": program.config.pes,
        "lanes": program.config.lanes,
        "images": images,
        "times": times,
        "layers": layers,
        **_account(program, counts, exposed, images),
        "counters": [
            {"segment": segment, "layer": program.layers[step.layer].name} | _sums(one)
            for (segment, _, step), one in zip(steps, counts, strict=True)
        ],
        "outputs": outputs.tolist(),
        "output_scale": program.output_scale,
        "tools": dict(device.tools),
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


def table(report: dict, *, shown: int = 4) -> str:
    """The report for people: layers, causes in percent of all PE-cycles, and the first outputs."""
    heads = ["layer", "size", "MACs", "cycles/image", "utilization", *LOST]
    rows = [_row(layer, report) for layer in report["layers"]]
    if len(rows) > 1:
        rows.append(_row({"name": "all", **report}, report))
    widths = [max(len(line[at]) for line in [heads, *rows]) for at in range(len(heads))]
    lanes = f" of {report['lanes']} lanes" if report["lanes"] > 1 else ""
    lines = [
        f"{report['device']}, {report['pes']} PEs{lanes}, "
        f"configuration {report['config_digest']}, {report['images']} image(s)",
        "",
    ]
    for line in [heads, *rows]:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells))
    lines += ["", _stalls(report), _loading(report), *_gated(report)]
    lines += ["", *_outputs(report, shown)]
    return "\n".join(lines)


def _row(part: dict, report: dict) -> list[str]:
    """Cells of one layer, or of the whole network."""
    slots = max(1, report["pes"] * part["cycles"])
    size = f"{part['inputs']}x{part['outputs']}" if "inputs" in part else ""
    return [
        part["name"],
        size,
        str(part["macs"]),
        f"{part['cycles_per_image']:.1f}",
        f"{part['utilization']:.1%}",
        *(f"{part['lost'][name] / slots:.1%}" for name in LOST),
    ]


def _stalls(report: dict) -> str:
    """How long broadcasts waited, and for whom."""
    if not report["stalls"]:
        return "broadcasts never waited"
    return (
        f"broadcasts waited {report['stalls']} of {report['cycles']} cycles, "
        f"most often for PE {report['most_blocking_pe']}"
    )


def _loading(report: dict) -> str:
    """What the host wrote, and how much of that took time of its own."""
    loading = report["loading"]
    if not loading["hidden"]:
        return f"loading takes {loading['words']} cycles more, a word in each"
    return (
        f"loading takes {loading['exposed']} cycles more, a word in each; "
        f"{loading['hidden']} words were hidden behind runs"
    )


def _gated(report: dict) -> list[str]:
    """With several lanes: how many of them had nothing to multiply."""
    if report["lanes"] == 1:
        return []
    slots = max(1, report["busy"] * report["lanes"])
    return [
        f"a weight was at work in {report['occupancy']:.1%} of all PE-cycles, "
        f"with zeros in {report['gated'] / slots:.1%} of its lanes"
    ]


def _outputs(report: dict, shown: int) -> list[str]:
    """The first outputs of the first images, and which output is largest."""
    lines = []
    for image, outputs in enumerate(report["outputs"][:shown]):
        every_step = isinstance(outputs[0], list)
        last = outputs[-1] if every_step else outputs
        first = " ".join(str(value) for value in last[:10])
        more = " ..." if len(last) > 10 else ""
        place = f"image {image}, last step" if every_step else f"image {image}"
        lines.append(f"{place}: largest output {int(np.argmax(last))} of [{first}{more}]")
    if len(report["outputs"]) > shown:
        lines.append(f"... and {len(report['outputs']) - shown} more images")
    return lines
