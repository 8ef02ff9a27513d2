"""Predicted cycles of a network on an array: it is compiled, and the cycle model is asked.

The one module of :mod:`sw.compress` that needs the compiler.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from torch import Tensor, nn

from spec.eie.config import EieConfig
from spec.eie.config import preset as eie_preset
from spec.eie.cycles import dense_cycles
from spec.eie.golden import GoldenModel
from spec.eie.program import Program
from spec.errors import UserError
from spec.nm.config import NmConfig
from spec.nm.config import preset as nm_preset
from spec.numbers import quantize
from sw.compile import compile_mixed, compile_network
from sw.compile.prepare import prepare
from sw.compile.steps import stages

Engine = Literal["eie", "nm", "auto"]

ENGINES: tuple[Engine, ...] = ("eie", "nm", "auto")

Preset = str | EieConfig | NmConfig | tuple[EieConfig, NmConfig]
"""Name of a preset, or a configuration; with engine ``auto`` a name that both engines have, or one
configuration of each."""

MOST_SAMPLES = 32
"""Samples that cycles of an EIE array are predicted on, evenly from all that are given."""


@dataclass(frozen=True, kw_only=True)
class LayerCycles:
    """One layer on an array.

    Attributes
    ----------
    name, engine : str
    cycles : float
        For an image, on average.
    dense_cycles : float or None
        Of the same layer without a zero in weights (and, on EIE, activations); None if the array
        does not hold it so.
    """

    name: str
    engine: str
    cycles: float
    dense_cycles: float | None

    @property
    def ratio(self) -> float | None:
        """How many times faster than dense."""
        return self.dense_cycles / self.cycles if self.dense_cycles else None


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """A network on an array.

    Attributes
    ----------
    engine : "eie", "nm" or "auto"
    presets : mapping of engine to the digest of its configuration
    batch_size : int
        Images that run together.
    layers : tuple of LayerCycles
    """

    engine: str
    presets: Mapping[str, str]
    batch_size: int
    layers: tuple[LayerCycles, ...]

    @property
    def cycles(self) -> float:
        """Of all layers, for an image."""
        return sum(layer.cycles for layer in self.layers)

    @property
    def dense_cycles(self) -> float | None:
        """None if an array does not hold one of the layers dense."""
        dense = [layer.dense_cycles for layer in self.layers if layer.dense_cycles is not None]
        return sum(dense) if len(dense) == len(self.layers) else None

    @property
    def ratio(self) -> float | None:
        """How many times faster than dense."""
        return self.dense_cycles / self.cycles if self.dense_cycles else None

    def to_json(self) -> dict[str, Any]:
        layers = [asdict(layer) | {"ratio": layer.ratio} for layer in self.layers]
        total = {"cycles": self.cycles, "dense_cycles": self.dense_cycles, "ratio": self.ratio}
        return asdict(self) | {"layers": layers} | total


def predict_cycles(
    model: nn.Module,
    samples: np.ndarray | Tensor,
    engine: Engine = "eie",
    preset: Preset = "default",
    *,
    pattern: str | Mapping[str, str] = "auto",
    batch_size: int = 1,
) -> Prediction:
    """Predict each layer's cycles on an array, and those of the dense layer.

    Parameters
    ----------
    model : nn.Module
        As it came out of compression: dense tensors with zeros. Is not changed.
    samples : floats or uint8, shape (samples, ...)
        Inputs to measure activations with; on EIE, cycles depend on the zeros in these.
    engine : "eie", "nm" or "auto"
        ``auto`` has an array of each, and every layer on the one that is faster.
    preset : one of :data:`Preset`
    pattern : str or mapping of layer name to str
        What the zeros follow, on N:M; see :func:`sw.compile.nm.driver.compile_network`.
    batch_size : int
        Images that run together on N:M.

    Raises
    ------
    UserError
        The engine or the preset does not exist, or an array cannot take the network; says why.
    """
    if engine not in ENGINES:
        raise UserError(f"engine {engine!r} is unknown, there are {', '.join(ENGINES)}")
    given = samples.detach().numpy() if isinstance(samples, Tensor) else np.asarray(samples)
    configs = _configs(preset, engine)
    options: dict[str, Any] = {"pattern": pattern, "batch_size": batch_size}
    if len(configs) == 2:
        layers = _on_both(model, given, *configs, options)
    elif isinstance(configs[0], EieConfig):
        layers, batch_size = _on_eie(model, given, configs[0]), 1
    else:
        layers = [
            _of_nm(layer) for layer in compile_network(model, given, configs[0], **options).layers
        ]
    return Prediction(
        engine=engine,
        presets={config.engine: config.digest for config in configs},
        batch_size=batch_size,
        layers=tuple(layers),
    )


def _configs(preset: Preset, engine: Engine) -> tuple[Any, ...]:
    """A configuration for each engine that takes part."""
    kinds = {"eie": (EieConfig,), "nm": (NmConfig,), "auto": (EieConfig, NmConfig)}[engine]
    if isinstance(preset, str):
        return tuple(eie_preset(preset) if one is EieConfig else nm_preset(preset) for one in kinds)
    given = preset if isinstance(preset, tuple) else (preset,)
    if tuple(type(one) for one in given) != kinds:
        wanted = " and ".join(one.__name__ for one in kinds)
        raise UserError(
            f"engine {engine} needs {wanted}, not {' and '.join(type(g).__name__ for g in given)}"
        )
    return given


def _on_eie(model: nn.Module, samples: np.ndarray, config: EieConfig) -> list[LayerCycles]:
    with stages(progress=False) as bar:
        prepared = prepare(model, samples, bar)
    program = compile_network(prepared.network, prepared.batch, config).program
    count = min(MOST_SAMPLES, len(prepared.batch))
    batch = prepared.batch[np.arange(count) * len(prepared.batch) // count]
    integers = quantize(batch, program.layers[0].input_scale, config.act_bits)
    _, counts = GoldenModel(program).run(integers)
    times: dict[int, list[tuple[float, float]]] = {}
    for (_, _, step), one in zip(program.passes(), counts, strict=True):
        cycles = one.of("cycles")
        dense = len(cycles) * dense_cycles(config, step.descriptor)
        times.setdefault(step.layer, []).append((float(cycles.sum()), float(dense)))
    found = []
    for number, layer in enumerate(program.layers):
        cycles, dense = (sum(column) / count for column in zip(*times[number], strict=True))
        found.append(LayerCycles(name=layer.name, engine="eie", cycles=cycles, dense_cycles=dense))
    return found


def _of_nm(layer: Mapping[str, Any]) -> LayerCycles:
    """From the compiler's summary."""
    return LayerCycles(
        name=layer["name"],
        engine="nm",
        cycles=layer["cycles"],
        dense_cycles=layer["dense_cycles"],
    )


def _on_both(
    model: nn.Module,
    samples: np.ndarray,
    eie: EieConfig,
    nm: NmConfig,
    options: Mapping[str, Any],
) -> list[LayerCycles]:
    result = compile_mixed(model, samples, eie, nm, **options)
    found: list[LayerCycles] = []
    for stage in result.stages:
        for number, layer in enumerate(stage.layers):
            choice = result.choices[len(found)]
            if stage.engine == "nm":
                found.append(_of_nm(layer))
                continue
            cycles = choice.candidates["eie"].cycles
            assert cycles is not None
            assert isinstance(stage.program, Program)
            dense = _dense_on_eie(stage.program, number)
            found.append(
                LayerCycles(name=choice.name, engine="eie", cycles=cycles, dense_cycles=dense)
            )
    return found


def _dense_on_eie(program: Program, number: int) -> float:
    """Cycles for an image of a layer without zeros, in the passes that it has."""
    config = program.config
    passes = [step for _, _, step in program.passes() if step.layer == number]
    return sum(dense_cycles(config, step.descriptor) for step in passes) / config.lanes
