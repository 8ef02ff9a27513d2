"""Which engine takes each layer: the one that is predicted to need fewer cycles for an image."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from spec.eie.config import EieConfig
from spec.eie.golden import GoldenModel
from spec.eie.program import Program
from spec.errors import UserError
from spec.nm.config import Mode, NmConfig
from spec.numbers import quantize
from sw.compile.calibrate import Ranges
from sw.compile.eie.driver import compile_layers as compile_for_eie
from sw.compile.network import FloatLayer, FloatLstm
from sw.compile.nm.chain import as_matrices
from sw.compile.nm.driver import form_of
from sw.compile.nm.forms import Gather
from sw.compile.steps import Log

PREDICT_SAMPLES = 32
"""Samples that an EIE array's cycles are predicted on. Those of an N:M array depend on no data."""

Layer = FloatLayer | FloatLstm


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What an engine would make of a layer.

    Attributes
    ----------
    cycles : float or None
        Predicted for an image; None if it cannot take the layer.
    reason : str
        Why it cannot.
    """

    cycles: float | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A layer's engine, and why."""

    name: str
    engine: str
    candidates: Mapping[str, Candidate]

    @property
    def why(self) -> str:
        """In words."""
        own = self.candidates[self.engine]
        ((name, other),) = (one for one in self.candidates.items() if one[0] != self.engine)
        if other.cycles is None:
            return f"{name} does not take it: {other.reason}"
        if own.cycles == other.cycles:
            return f"as many cycles as on {name}"
        return f"{own.cycles:.1f} cycles instead of {other.cycles:.1f}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"why": self.why}


def choose(layers: Sequence[Layer], candidates: Sequence[Mapping[str, Candidate]]) -> list[Choice]:
    """An engine for each layer; of equals the one of the layer in front.

    Raises
    ------
    UserError
        No engine takes a layer; says why of each.
    """
    choices: list[Choice] = []
    for layer, each in zip(layers, candidates, strict=True):
        able = {name: one.cycles for name, one in each.items() if one.cycles is not None}
        if not able:
            reasons = "; ".join(f"{name}: {one.reason}" for name, one in each.items())
            raise UserError(f"layer {layer.name}: no engine takes it ({reasons})")
        fewest = min(able.values())
        best = [name for name, cycles in able.items() if cycles == fewest]
        engine = choices[-1].engine if choices and choices[-1].engine in best else best[0]
        choices.append(Choice(name=layer.name, engine=engine, candidates=each))
    return choices


def on_nm(
    layer: Layer, config: NmConfig, pattern: Mode | None, gather: Gather, batch_size: int
) -> Candidate:
    """A layer on an N:M array that computes some images together."""

    def predict() -> float:
        (plain,) = as_matrices([layer])
        return form_of(plain, config, pattern, gather, batch_size).cycles / batch_size

    return _candidate(layer, predict)


def on_eie(
    layer: Layer,
    ranges: Ranges,
    batch: np.ndarray,
    config: EieConfig,
    batch_size: int,
    bar: tqdm,
    **options: Any,
) -> Candidate:
    """A layer alone on an EIE array, with what it takes in calibration.

    Parameters
    ----------
    ranges : Ranges
        Of this layer only.
    options
        Of :func:`sw.compile.eie.driver.compile_layers`.
    """

    def predict() -> float:
        count = min(PREDICT_SAMPLES, len(batch))
        some = batch[np.arange(count) * len(batch) // count]
        if isinstance(layer, FloatLayer):
            some = some.reshape(-1, layer.takes)  # a step of a sequence is one more sample
        log = Log()
        log.add("folded", layer(some))
        program, _ = compile_for_eie([layer], ranges, some, config, log, bar, **options)
        return _cycles(program, some, batch_size) / count

    return _candidate(layer, predict)


def _candidate(layer: Layer, predict: Callable[[], float]) -> Candidate:
    try:
        return Candidate(cycles=predict())
    except UserError as error:
        return Candidate(reason=str(error).removeprefix(f"layer {layer.name}").lstrip(":, "))


def _cycles(program: Program, batch: np.ndarray, batch_size: int) -> int:
    """Cycles of a batch, so many images of it at a time. Of loading, only what every image costs
    again is in it: segments that do not stay in the memories, as far as nothing hides them."""
    model = GoldenModel(program)
    integers = quantize(batch, program.layers[0].input_scale, program.config.act_bits)
    together = batch_size if batch_size < program.config.lanes else len(batch)
    total = 0
    for first in range(0, len(batch), together):
        _, counts = model.run(integers[first : first + together])
        total += sum(int(one.of("cycles").sum()) for one in counts)
        if len(program.segments) > 1:
            total += sum(int((one.of("loads") - one.of("hidden")).sum()) for one in counts)
    return total
