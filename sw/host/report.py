"""The report of a run: what was computed, how long it took, and where the time went.

:func:`make_report` gives one JSON-ready dictionary with these keys, which stay as they are:

``device``, ``engine``, ``images``
    What ran, for which engine (``eie``, ``nm``, or ``mixed``), and on how many images.
``outputs``, ``output_scale``
    Integers, one list per image (for a sequence whose every step is wanted, one per image and
    step); ``real = integer * output_scale``: one number, or a list of one for each output.
``tools``
    Name and version of every tool that took part.

Between them stand those that :mod:`sw.host.eie.report` or :mod:`sw.host.nm.report` describes, as
the engine is. Of a network on both engines, they are:

``stages``
    A list; each has its ``engine`` and what that engine's report has between.
``cycles``, ``cycles_per_image``, ``macs``
    Of all stages together.

With ``--compare``, ``sim.run`` adds ``compare``: the other ``device``, whether all is ``equal``,
and the first ``difference``.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from spec.eie.engine import EIE
from spec.errors import UserError
from spec.image import Program, engine_of
from spec.mixed import MIXED, Mixed
from spec.nm.engine import NM
from sw.host.device import Device
from sw.host.eie import report as eie
from sw.host.nm import report as nm


class _Part(NamedTuple):
    """What an engine has to say: a dictionary, and of that a title and lines for people."""

    summarize: Callable[[Any, int, Sequence[Any]], dict]
    title: Callable[[dict], str]
    lines: Callable[[dict], list[str]]


def make_report(device: Device, program: Program, outputs: np.ndarray, counts: list[Any]) -> dict:
    """The dictionary that this module's docstring describes."""
    engine, images = engine_of(program).name, len(outputs)
    return {
        "device": device.name,
        "engine": engine,
        "images": images,
        **_PARTS[engine].summarize(program, images, counts),
        "outputs": outputs.tolist(),
        "output_scale": np.asarray(program.output_scale).tolist(),
        "tools": dict(device.tools),
    }


def table(report: dict, *, shown: int = 4) -> str:
    """The report for people: layers, where their time went, and the first outputs."""
    part = _PARTS[report["engine"]]
    head = f"{report['device']}, {part.title(report)}, {report['images']} image(s)"
    return "\n".join([head, "", *part.lines(report), "", *_outputs(report, shown)])


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


# Networks on both engines ---------------------------------------------------------------------


def _summarize_stages(program: Mixed, images: int, counts: Sequence[Sequence[Any]]) -> dict:
    if len(program.stages) != len(counts):
        raise UserError(
            f"the program has {len(program.stages)} stages, the counters are of {len(counts)}"
        )
    stages = []
    for stage, own in zip(program.stages, counts, strict=True):
        engine = engine_of(stage).name
        stages.append({"engine": engine} | _PARTS[engine].summarize(stage, images, own))
    cycles, macs = (sum(stage[key] for stage in stages) for key in ("cycles", "macs"))
    return {
        "stages": stages,
        "cycles": cycles,
        "cycles_per_image": cycles / images if images else 0.0,
        "macs": macs,
    }


def _title_of_stages(summary: dict) -> str:
    return f"{len(summary['stages'])} stages"


def _lines_of_stages(summary: dict) -> list[str]:
    lines = []
    for number, stage in enumerate(summary["stages"]):
        part = _PARTS[stage["engine"]]
        title = f"stage {number}: engine {stage['engine']}, {part.title(stage)}"
        lines += [title, "", *part.lines(stage), ""]
    return [*lines, f"all stages: {summary['cycles_per_image']:.1f} cycles/image"]


_PARTS = {
    EIE.name: _Part(eie.summarize, eie.title, eie.lines),
    NM.name: _Part(nm.summarize, nm.title, nm.lines),
    MIXED.name: _Part(_summarize_stages, _title_of_stages, _lines_of_stages),
}
