"""The compiler's report on both engines as text."""

from collections.abc import Mapping
from textwrap import fill

from spec.eie.engine import EIE
from spec.nm.engine import NM
from sw.compile.mixed.choose import Candidate, Choice
from sw.compile.mixed.driver import Result
from sw.compile.steps import table as steps_table

WIDTH = 110
"""Columns that a reason may reach to; what is longer goes on below."""


def table(result: Result) -> str:
    """Steps of the whole network, the choice of each layer, then steps of every stage."""
    lines = [f"note: {note}" for note in result.notes]
    lines += [*steps_table(result.steps), "", *choices_table(result)]
    for number, stage in enumerate(result.stages):
        names = ", ".join(layer["name"] for layer in stage.layers)
        lines += ["", f"stage {number}, engine {stage.engine}: {names}"]
        lines += steps_table(stage.steps)
    return "\n".join(lines)


def choices_table(result: Result) -> list[str]:
    """Predicted cycles of an image on each engine, and which one it is and why."""
    head = f"{'layer':<16}{'cycles ' + EIE.name:>14}{'cycles ' + NM.name:>14}{'engine':>8}  why"
    return [head, *(_row(choice) for choice in result.choices)]


def _row(choice: Choice) -> str:
    eie, nm = (_cycles(choice.candidates, name) for name in (EIE.name, NM.name))
    row = f"{choice.name:<16}{eie:>14}{nm:>14}{choice.engine:>8}  "
    return fill(choice.why, WIDTH, initial_indent=row, subsequent_indent=" " * len(row))


def _cycles(candidates: Mapping[str, Candidate], engine: str) -> str:
    cycles = candidates[engine].cycles
    return "-" if cycles is None else f"{cycles:.1f}"
