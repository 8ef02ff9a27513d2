"""The compiler for both engines: every layer on the one that is predicted to be faster.

Neighbouring layers of one engine are a stage. A stage is compiled like a network, on what the
layers before it make of the samples; the host carries activations from one to the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
from tqdm import tqdm

from spec.eie.config import EieConfig
from spec.eie.engine import EIE
from spec.eie.golden import GoldenModel as EieModel
from spec.eie.program import Program as EieProgram
from spec.mixed import Mixed, Stage, hand_over
from spec.nm.config import Mode, NmConfig
from spec.nm.engine import NM
from spec.numbers import quantize
from sw.compile.calibrate import HEADROOM
from sw.compile.eie.driver import check_options as check_eie_options
from sw.compile.eie.driver import compile_layers as compile_for_eie
from sw.compile.mixed.choose import Candidate, Choice, Layer, choose, on_eie, on_nm
from sw.compile.nm.check import run_program
from sw.compile.nm.driver import check_options as check_nm_options
from sw.compile.nm.driver import compile_layers as compile_for_nm
from sw.compile.nm.forms import Gather
from sw.compile.nm.patterns import AUTO, Pattern, patterns_of
from sw.compile.nm.quantize import Scales
from sw.compile.prepare import Model, Prepared, prepare
from sw.compile.result import Result as AnyResult
from sw.compile.steps import CHECK_SAMPLES, Log, stages

SEQUENCES = "a network of sequences runs on one engine"


@dataclass(frozen=True)
class StageResult(AnyResult[Stage]):
    """Layers of one engine; the first of ``steps`` is what the layers themselves compute."""

    engine: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"engine": self.engine} | super().to_json()


@dataclass(frozen=True)
class Result(AnyResult[Stage | Mixed]):
    """What the compiler made: a program of one engine if all layers are on it, else of stages.

    Attributes
    ----------
    choices : list of Choice
        Of every layer.
    stages : list of StageResult
    """

    choices: list[Choice] = field(default_factory=list)
    stages: list[StageResult] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return super().to_json() | {
            "choices": [choice.to_json() for choice in self.choices],
            "stages": [stage.to_json() for stage in self.stages],
        }


def compile_network(
    model: Model,
    calibration: np.ndarray,
    eie: EieConfig,
    nm: NmConfig,
    *,
    pattern: Pattern = AUTO,
    gather: Gather = "auto",
    scales: Scales = "row",
    batch_size: int = 1,
    balance: bool = True,
    clusters: int | None = None,
    activation: str = "relu",
    headroom: float = HEADROOM,
    rescale: bool = True,
    check_count: int = CHECK_SAMPLES,
    progress: bool = False,
) -> Result:
    """Compile a network for an array of each engine.

    Parameters
    ----------
    eie, nm : EieConfig, NmConfig
    pattern, gather, scales
        Of layers on the N:M array, see :func:`sw.compile.nm.driver.compile_network`.
    balance, clusters
        Of layers on the EIE array, see :func:`sw.compile.eie.driver.compile_network`.
    batch_size : int
        Images that run together: what cycles are predicted for.
    model, calibration, activation, headroom, rescale, check_count, progress
        As for one engine.

    Raises
    ------
    UserError
        If the network, the samples or an option cannot be taken, or no engine takes a layer.
    """
    check_eie_options(eie, clusters=clusters, check_count=check_count)
    check_nm_options(
        nm, gather=gather, scales=scales, batch_size=batch_size, check_count=check_count
    )
    common = {"rescale": rescale, "check_count": check_count}
    with stages(progress) as bar:
        prepared = prepare(model, calibration, bar, activation=activation, headroom=headroom)
        layers = prepared.network.layers
        work = _Work(
            prepared=prepared,
            given=_given(layers, prepared.batch),
            eie=eie,
            nm=nm,
            patterns=patterns_of(pattern, [layer.name for layer in layers], nm),
            for_eie=common | {"balance": balance, "clusters": clusters},
            for_nm=common | {"gather": gather, "scales": scales, "batch_size": batch_size},
            bar=bar,
        )
        bar.set_description_str("predict")
        candidates = [work.predict(number) for number in range(len(layers))]
        choices = choose(layers, candidates)
        made = [work.compile(*span) for span in _spans(choices)]
        programs = tuple(stage.program for stage in made)
        program = programs[0] if len(programs) == 1 else Mixed(programs)
        outputs = _run_stages(programs, prepared.batch[:check_count])
        prepared.log.add("packed image", outputs * np.asarray(program.output_scale))
    summaries = [{"engine": one.engine} | layer for one in made for layer in one.layers]
    notes = prepared.network.notes
    return Result(program, summaries, prepared.log.steps, notes, choices, made)


@dataclass(frozen=True, kw_only=True)
class _Work:
    """A network and both arrays.

    Attributes
    ----------
    given : list of float64 arrays
        What each layer takes in calibration, and what the last one gives.
    for_eie, for_nm : dict
        Options of each engine's ``compile_layers``.
    """

    prepared: Prepared
    given: list[np.ndarray]
    eie: EieConfig
    nm: NmConfig
    patterns: dict[str, Mode | None]
    for_eie: dict[str, Any]
    for_nm: dict[str, Any]
    bar: tqdm

    def predict(self, number: int) -> dict[str, Candidate]:
        """What each engine would make of a layer."""
        layer = self.prepared.network.layers[number]
        ranges = self.prepared.ranges.of_layers(number, number + 1)
        gather, batch_size = self.for_nm["gather"], self.for_nm["batch_size"]
        nm = on_nm(layer, self.nm, self.patterns[layer.name], gather, batch_size)
        if self.prepared.network.recurrent and nm.cycles is not None:
            nm = Candidate(reason=SEQUENCES)
        given = self.given[number]
        eie = on_eie(layer, ranges, given, self.eie, batch_size, self.bar, **self.for_eie)
        return {EIE.name: eie, NM.name: nm}

    def compile(self, engine: str, first: int, behind: int) -> StageResult:
        """Neighbouring layers for one engine."""
        layers = self.prepared.network.layers[first:behind]
        ranges, batch = self.prepared.ranges.of_layers(first, behind), self.given[first]
        log = Log()
        log.add("folded", self.given[behind])
        program: Stage
        if engine == EIE.name:
            program, summaries = compile_for_eie(
                layers, ranges, batch, self.eie, log, self.bar, **self.for_eie
            )
        else:
            own = {layer.name: str(self.patterns[layer.name] or AUTO) for layer in layers}
            program, summaries = compile_for_nm(
                layers, ranges, batch, self.nm, log, self.bar, pattern=own, **self.for_nm
            )
        return StageResult(program, summaries, log.steps, (), engine)


def _given(layers: Sequence[Layer], batch: np.ndarray) -> list[np.ndarray]:
    """What each layer takes, and what the last one gives."""
    given = [batch]
    for layer in layers:
        given.append(layer(given[-1]))
    return given


def _spans(choices: Sequence[Choice]) -> list[tuple[str, int, int]]:
    """Engine, first layer and the one behind the last, of each stage."""
    spans, first = [], 0
    for engine, group in groupby(choice.engine for choice in choices):
        behind = first + len(list(group))
        spans.append((engine, first, behind))
        first = behind
    return spans


def _run_stages(programs: Sequence[Stage], batch: np.ndarray) -> np.ndarray:
    """The golden models one behind the other: real inputs to integers of the last."""
    first = programs[0]
    acts = quantize(batch, first.input_scale, first.act_bits)
    for number, program in enumerate(programs):
        if number:
            acts = hand_over(programs[number - 1], program, acts)
        if isinstance(program, EieProgram):
            acts, _ = EieModel(program).run(acts)
        else:
            acts = run_program(program, acts)
    return acts
