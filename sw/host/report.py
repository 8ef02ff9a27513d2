"""The report of a run: what was computed, how long it took, and where the time went.

:func:`make_report` gives one JSON-ready dictionary with these keys, which stay as they are. Counts
are totals over the batch unless their name says ``per_image``.

``device``, ``config_digest``, ``pes``, ``images``
    What ran, for which configuration, and on how many images.
``layers``
    A list in order of the network; each has ``name``, ``inputs``, ``outputs``, ``passes`` (tiles
    that it was cut into) and the following.
``macs``, ``cycles``, ``cycles_per_image``, ``utilization``
    Useful multiply-accumulates (one for each non-zero weight that met a non-zero activation), the
    cycles that they took, and ``macs / (pes * cycles)``.
``lost``
    The other PE-cycles by cause, under the names of :data:`spec.eie.counters.LOST`; ``macs`` and
    all causes add up to ``pes * cycles``.
``stalls``, ``most_blocking_pe``
    Cycles in which a broadcast waited for a full queue, and the PE whose queue it was most often
    (null if it never waited).
``macs`` ... ``most_blocking_pe``
    The same once more at the top, over the whole network.
``counters``
    A list with one item per pass in order of execution: ``segment``, ``layer`` (its name), all of
    :data:`spec.eie.counters.ARRAY_COUNTERS`, ``pes`` (all of :data:`spec.eie.counters.PE_COUNTERS`,
    summed over the PEs) and ``most_blocking_pe``.
``outputs``, ``output_scale``
    Integers, one list per image; ``real = integer * output_scale``.
``tools``
    Name and version of every tool that took part.

With ``--compare``, ``sim.run`` adds ``compare``: the other ``device``, whether all is ``equal``,
and the first ``difference``.
"""

from collections.abc import Sequence

import numpy as np

from spec.eie.counters import ARRAY_COUNTERS, LOST, PE_COUNTERS
from spec.eie.cycles import PassCounts
from spec.eie.program import Program
from spec.errors import UserError
from sw.host.device import Device


def make_report(
    device: Device, program: Program, outputs: np.ndarray, counts: Sequence[PassCounts]
) -> dict:
    """The dictionary that this module's docstring describes."""
    steps = list(program.passes())
    if len(steps) != len(counts):
        raise UserError(f"the program has {len(steps)} passes, the counters are of {len(counts)}")
    images, pes = len(outputs), program.config.pes
    layers = []
    for index, layer in enumerate(program.layers):
        own = [one for (_, _, step), one in zip(steps, counts, strict=True) if step.layer == index]
        size = {"inputs": layer.inputs, "outputs": layer.outputs, "passes": len(own)}
        layers.append({"name": layer.name} | size | _account(own, images, pes))
    return {
        "device": device.name,
        "config_digest": program.config.digest,
        "pes": pes,
        "images": images,
        "layers": layers,
        **_account(counts, images, pes),
        "counters": [
            {"segment": segment, "layer": program.layers[step.layer].name} | _sums(one)
            for (segment, _, step), one in zip(steps, counts, strict=True)
        ],
        "outputs": outputs.tolist(),
        "output_scale": program.layers[-1].output_scale,
        "tools": dict(device.tools),
    }


def _account(counts: Sequence[PassCounts], images: int, pes: int) -> dict:
    """Work, time and losses of some passes together."""
    in_array: dict[str, int] = dict.fromkeys(ARRAY_COUNTERS, 0)
    in_pes = np.zeros((pes, len(PE_COUNTERS)), np.int64)
    for one in counts:
        for name, value in zip(ARRAY_COUNTERS, one.array.sum(axis=0).tolist(), strict=True):
            in_array[name] += value
        in_pes += one.pe.sum(axis=0)
    in_pe = dict(zip(PE_COUNTERS, in_pes.sum(axis=0).tolist(), strict=True))
    cycles, macs = in_array["cycles"], in_pe["busy"]
    return {
        "macs": macs,
        "cycles": cycles,
        "cycles_per_image": cycles / images if images else 0.0,
        "utilization": macs / (pes * cycles) if cycles else 0.0,
        # A cause counted by central control costs every PE a cycle.
        "lost": {name: in_pe[name] if name in in_pe else pes * in_array[name] for name in LOST},
        "stalls": in_array["stalls"],
        "most_blocking_pe": _most_blocking(in_pes),
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
    lines = [
        f"{report['device']}, {report['pes']} PEs, configuration {report['config_digest']}, "
        f"{report['images']} image(s)",
        "",
    ]
    for line in [heads, *rows]:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells))
    lines += ["", _stalls(report), "", *_outputs(report, shown)]
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


def _outputs(report: dict, shown: int) -> list[str]:
    """The first outputs of the first images, and which output is largest."""
    lines = []
    for image, outputs in enumerate(report["outputs"][:shown]):
        first = " ".join(str(value) for value in outputs[:10])
        more = " ..." if len(outputs) > 10 else ""
        lines.append(f"image {image}: largest output {int(np.argmax(outputs))} of [{first}{more}]")
    if len(report["outputs"]) > shown:
        lines.append(f"... and {len(report['outputs']) - shown} more images")
    return lines
