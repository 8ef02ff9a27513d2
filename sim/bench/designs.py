"""The machines and patterns that ``sim.bench compare`` puts side by side, all of 256 multipliers.

Patterns run on the N:M array; unstructured zeros on EIE, with a processing element per multiplier,
and with eight multipliers in each, for eight images at once.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sim.bench.nm import run_figures, storage
from sim.bench.patterns import PATTERNS, Pattern, zeros
from spec import image
from spec.eie.config import EieConfig
from spec.eie.config import preset as eie_preset
from spec.eie.program import Program as EieProgram
from spec.nm.config import preset as nm_preset
from spec.nm.program import Program as NmProgram
from sw.compile.eie.driver import compile_network as compile_eie
from sw.compile.network import FloatLayer, Network
from sw.compile.nm.driver import compile_network as compile_nm
from sw.compress.patterns import unstructured_mask
from sw.compress.share import kmeans

MULTIPLIERS = 256
NM = nm_preset("default")
EIE = {
    "256x1": eie_preset("default", pes=256),
    "32x8": eie_preset("default", pes=32, lanes=8),
}
"""PEs by lanes."""

UNSTRUCTURED = (0.5, 0.25, 0.1)
"""Densities."""

Program = EieProgram | NmProgram

Choose = Callable[[Tensor], Tensor]
"""From a weight of shape (outputs, inputs), or a kernel, to its mask."""


class Design(ABC):
    """A machine, and what is pruned for it.

    Attributes
    ----------
    title, machine : str
        For people.
    density : float
        Share of the weights that stays, if sizes divide.
    """

    title: str
    machine: str
    density: float

    @abstractmethod
    def choose(self, weight: Tensor) -> Tensor:
        """The mask of a weight of shape (outputs, inputs), or of a kernel."""

    @abstractmethod
    def compile(self, network: Network, calibration: np.ndarray, images: int) -> Program:
        """A pruned network, for so many images at once."""

    @abstractmethod
    def figures(self, program: Any, report: dict) -> dict:
        """Cycles, without and with loading; shares of the multiplier slots; words loaded, and bits
        stored."""

    def prune(self, network: Network) -> Network:
        """The network with zeros in it, and without its original."""
        layers = tuple(_masked(layer, self.choose) for layer in plain_layers(network))
        return replace(network, layers=layers, run=None)


@dataclass(frozen=True)
class OnNm(Design):
    """A pattern on the N:M array. It streams its weights: loading is within the cycles."""

    pattern: Pattern
    machine = "N:M array"

    @property
    def title(self) -> str:
        return self.pattern.title

    @property
    def density(self) -> float:
        return self.pattern.density

    def choose(self, weight: Tensor) -> Tensor:
        return self.pattern.choose(weight, NM)

    def form(self) -> dict[str, Any]:
        """Options of the compiler: the pattern itself, not whatever else would do."""
        gather = "on" if self.pattern.gather else "off"
        return {"pattern": str(self.pattern.mode), "gather": gather}

    def compile(self, network: Network, calibration: np.ndarray, images: int) -> NmProgram:
        return compile_nm(
            network,
            calibration,
            NM,
            **self.form(),
            batch_size=images,
            check_count=1,
        ).program

    def figures(self, program: Any, report: dict) -> dict:
        own = run_figures(report)
        return own | {"loaded_cycles": own["cycles"], "bits": storage(program)["bits"]}


@dataclass(frozen=True)
class OnEie(Design):
    """Zeros anywhere, on EIE. Weights are shared, and stand in the array's memories: writing them,
    and each image's inputs, comes on top, where it is not hidden."""

    density: float
    config: EieConfig

    @property
    def title(self) -> str:
        return f"unstructured {zeros(self.density)}"

    @property
    def machine(self) -> str:
        return f"EIE, {self.config.pes} PEs x {self.config.lanes}"

    def choose(self, weight: Tensor) -> Tensor:
        return unstructured_mask(weight, self.density)

    def compile(self, network: Network, calibration: np.ndarray, images: int) -> EieProgram:
        shared = replace(network, layers=tuple(map(_shared, plain_layers(network))))
        return compile_eie(shared, calibration, self.config, check_count=1).program

    def figures(self, program: Any, report: dict) -> dict:
        slots = report["pes"] * report["lanes"] * report["cycles"]
        lost = {cause: value * report["lanes"] / slots for cause, value in report["lost"].items()}
        return {
            "cycles": report["cycles"],
            "utilization": report["utilization"],
            "lost": lost | {"gated": report["gated"] / slots},
            "loads": report["loading"]["words"],
            "loaded_cycles": report["cycles"] + report["loading"]["exposed"],
            "bits": sum(map(_stored_bits, image.inspect(program)["layers"])),
        }


def plain_layers(network: Network) -> list[FloatLayer]:
    """A network's layers; those that are none have been refused before."""
    return [layer for layer in network.layers if isinstance(layer, FloatLayer)]


def _masked(layer: FloatLayer, choose: Choose) -> FloatLayer:
    weight = torch.from_numpy(layer.weight)
    if layer.windows:
        weight = weight.unflatten(1, (layer.windows.channels, *layer.windows.kernel))
    return replace(layer, weight=torch.where(choose(weight), weight, 0).flatten(1).numpy())


def _shared(layer: FloatLayer) -> FloatLayer:
    """With 15 values besides zero, as EIE stores them."""
    return replace(layer, weight=kmeans(torch.from_numpy(layer.weight)).expand().numpy())


def _stored_bits(layer: dict) -> int:
    """Entries and pointers of a layer."""
    per_weight = layer["entry_bits_per_weight"] + layer["pointer_bits_per_weight"]
    return round(per_weight * layer["weights"])


DESIGNS: dict[str, Design] = {
    **{key: OnNm(pattern) for key, pattern in PATTERNS.items()},
    **{
        f"unstructured-{100 * (1 - density):g}/{machine}": OnEie(density, config)
        for density in UNSTRUCTURED
        for machine, config in EIE.items()
    },
}
DENSE = "dense"
"""What the others are compared with."""
