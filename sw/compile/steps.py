"""Steps of the compiler: after each the batch is run again, and what changed is written down."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from tqdm import tqdm

CHECK_SAMPLES = 32
"""Samples that are run on the packed image."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """The batch after one step of the compiler.

    Attributes
    ----------
    name : str
    samples : int
        Of the batch that were run.
    change : float
        Largest difference of any output to the step before.
    relative : float
        The same as a part of the network's largest output.
    total : float
        Largest difference to the network as given, as the same part.
    agreement : float
        Part of the samples whose largest output is the same one as in the network as given.
    notes : tuple of str
        What happened in this step.
    """

    name: str
    samples: int
    change: float
    relative: float
    total: float
    agreement: float
    notes: tuple[str, ...] = ()


@dataclass
class Log:
    """Collects steps; the first one's outputs are what the others are held against."""

    steps: list[Step] = field(default_factory=list)
    original: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    previous: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    def add(self, name: str, outputs: np.ndarray, notes: Sequence[str] = ()) -> None:
        """Record a step by its real outputs, (samples, outputs), on all samples or the first; each
        step of a sequence counts as a sample."""
        outputs = outputs.reshape(-1, outputs.shape[-1])
        if not self.steps:
            self.original = self.previous = outputs
        samples = len(outputs)
        original, previous = self.original[:samples], self.previous[:samples]
        largest = float(np.abs(original).max()) or 1.0
        change = float(np.abs(outputs - previous).max())
        step = Step(
            name=name,
            samples=samples,
            change=change,
            relative=change / largest,
            total=float(np.abs(outputs - original).max()) / largest,
            agreement=float((outputs.argmax(axis=1) == original.argmax(axis=1)).mean()),
            notes=tuple(notes),
        )
        self.steps.append(step)
        self.previous = outputs


@contextmanager
def stages(progress: bool) -> Iterator[tqdm]:
    """On a terminal, a line with the step at work and the time since the beginning."""
    hidden = None if progress else True
    with tqdm(bar_format="{desc} [{elapsed}]", leave=False, disable=hidden) as bar:
        yield bar


def table(steps: Sequence[Step]) -> list[str]:
    """Steps for people, a line each and one for each note."""
    lines = [
        f"{'step':<20}{'samples':>8}{'change':>11}{'relative':>11}{'in all':>11}{'same top-1':>12}"
    ]
    for step in steps:
        lines.append(
            f"{step.name:<20}{step.samples:>8}{step.change:>11.3g}{step.relative:>11.2g}"
            f"{step.total:>11.2g}{step.agreement:>12.1%}"
        )
        lines += [f"  {note}" for note in step.notes]
    return lines
