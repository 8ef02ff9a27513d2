"""Networks on both engines: programs one behind the other.

The host carries activations from one to the next: what a stage gives, as real numbers, is quantized
for the stage that takes it. In an image file (engine ``mixed``) every stage has a document of its
own, and its tensors stand under ``stage0.``, ``stage1.`` and so on.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from spec.eie.engine import EIE
from spec.eie.program import Program as EieProgram
from spec.engine import Engine, Tensors
from spec.errors import UserError
from spec.nm.engine import NM
from spec.nm.program import Program as NmProgram
from spec.numbers import quantize

ENGINES = {engine.name: engine for engine in (EIE, NM)}
"""Engines that a stage may be for."""

Stage = EieProgram | NmProgram


@dataclass(frozen=True)
class Mixed:
    """Stages, each of them layers of one engine."""

    stages: tuple[Stage, ...]
    per_step = 0

    @property
    def inputs(self) -> int:
        return self.stages[0].inputs

    @property
    def outputs(self) -> int:
        return self.stages[-1].outputs

    @property
    def act_bits(self) -> int:
        """Of what it takes."""
        return self.stages[0].act_bits

    @property
    def input_scale(self) -> float | np.ndarray:
        return self.stages[0].input_scale

    @property
    def output_scale(self) -> float | np.ndarray:
        return self.stages[-1].output_scale


def stage_engine(stage: Stage) -> Engine:
    """The engine of a stage."""
    return next(engine for engine in ENGINES.values() if isinstance(stage, engine.program))


def hand_over(before: Stage, following: Stage, outputs: np.ndarray) -> np.ndarray:
    """Integers that a stage gives as those that the next one takes. int64, (images, values)."""
    real = outputs * np.asarray(before.output_scale)
    return quantize(real, following.input_scale, following.act_bits)


def to_document(program: Mixed) -> tuple[dict, Tensors]:
    """Metadata (JSON-ready) and tensors of an image file."""
    documents, tensors = [], {}
    for number, stage in enumerate(program.stages):
        engine = stage_engine(stage)
        document, own = engine.to_document(stage)
        documents.append({"engine": engine.name} | document)
        tensors |= {f"stage{number}.{name}": tensor for name, tensor in own.items()}
    return {"stages": documents}, tensors


def from_document(document: dict, tensors: Tensors) -> Mixed:
    """The inverse of :func:`to_document`; :class:`UserError` if anything is amiss."""
    try:
        documents = [(ENGINES[one["engine"]], one) for one in document["stages"]]
    except (KeyError, TypeError) as error:
        raise UserError(f"the image's metadata is incomplete or wrong ({error})") from None
    stages = []
    for number, (engine, one) in enumerate(documents):
        prefix = f"stage{number}."
        own = {
            name.removeprefix(prefix): tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }
        with _of_stage(number):
            stages.append(engine.from_document(one, own))
    return Mixed(tuple(stages))


@contextmanager
def _of_stage(number: int) -> Iterator[None]:
    """Refusals name the stage."""
    try:
        yield
    except UserError as error:
        raise UserError(f"stage {number}: {error}") from None


def check_fits(program: Mixed) -> None:
    """Refuse stages that do not fit each other, or one that no array could run."""
    if not program.stages:
        raise UserError("the image has no stages")
    for number, stage in enumerate(program.stages):
        with _of_stage(number):
            stage_engine(stage).check_fits(stage)
            if stage.per_step:
                raise UserError("only a network of one engine takes sequences")
            if isinstance(stage, NmProgram) and not stage.chained:
                raise UserError("its layers are no chain")
    for number, (before, stage) in enumerate(pairwise(program.stages), 1):
        if stage.inputs != before.outputs:
            raise UserError(
                f"stage {number} takes {stage.inputs} values, the one before gives {before.outputs}"
            )
    names = [layer.name for stage in program.stages for layer in stage.layers]
    if len(set(names)) < len(names):
        raise UserError(f"layers share a name: {', '.join(names)}")


def check_batch(program: Mixed, batch: np.ndarray) -> np.ndarray:
    """A batch of integers as int64, if it is for the first stage."""
    return stage_engine(program.stages[0]).check_batch(program.stages[0], batch)


def unpack(program: Mixed) -> Tensors:
    """Dense integer weights of every layer by name, (outputs, inputs)."""
    dense: Tensors = {}
    for stage in program.stages:
        dense |= stage_engine(stage).unpack(stage)
    return dense


def inspect(program: Mixed) -> dict:
    """A summary as a JSON-ready dictionary."""
    stages = []
    for stage in program.stages:
        engine = stage_engine(stage)
        stages.append({"engine": engine.name} | engine.inspect(stage))
    return {"stages": stages}


def table(summary: dict) -> str:
    """The summary for people."""
    return "\n\n".join(ENGINES[stage["engine"]].table(stage) for stage in summary["stages"])


MIXED = Engine(
    name="mixed",
    program=Mixed,
    to_document=to_document,
    from_document=from_document,
    check_fits=check_fits,
    check_batch=check_batch,
    unpack=unpack,
    inspect=inspect,
    table=table,
)
