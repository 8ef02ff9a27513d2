"""Every executor of every engine, opened on a toy machine, and a host that speaks to it."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

from sim.eie import cocotb_port as eie_cocotb
from sim.eie import native as eie_native
from sim.eie import pysim as eie_pysim
from sim.nm import cocotb_port as nm_cocotb
from sim.nm import native as nm_native
from sim.nm import pysim as nm_pysim
from spec.eie import config as eie_config
from spec.eie import iomap as eie_iomap
from spec.nm import config as nm_config
from spec.nm import iomap as nm_iomap
from sw.host.eie import port as eie_port
from sw.host.nm import port as nm_port
from tests.sim.toy_machine import EieToy, NmToy

CODE = 2
"""What the toy machines are told to answer."""

TIERS = {
    "pysim": pytest.mark.flow,
    "native": pytest.mark.verilator,
    "cocotb": pytest.mark.verilator,
}
RAGGED = {"steady": None, "ragged": 5}


class Host(ABC):
    """A host of a toy machine.

    Attributes
    ----------
    executors : dict
        Classes of ports, by name.
    protocol : type
        The Port that they are.
    refused : int
        Error code of a start that is refused.
    is_busy : int
        That of a start while busy.
    """

    executors: ClassVar[dict[str, Callable]]
    config: ClassVar[Any]
    toy: ClassVar[Callable]
    protocol: ClassVar[type]
    refused: ClassVar[int]
    is_busy: ClassVar[int]
    patience: ClassVar[int]

    def __init__(self, port: Any) -> None:
        self.port = port

    @classmethod
    def open(cls, executor: str, **options: Any) -> "Host":
        """A port of the toy machine, and its host."""
        return cls(cls.executors[executor](cls.config, component=cls.toy, **options))

    def __enter__(self) -> "Host":
        return self

    def __exit__(self, *_: object) -> None:
        self.port.close()

    @abstractmethod
    def write(self, address: Any, data: Any) -> None:
        """Write kept words, of which there are eight at least."""

    @abstractmethod
    def read(self, address: Any) -> np.ndarray:
        """Read kept words."""

    @abstractmethod
    def control(self, number: int) -> int:
        """Read a control."""

    @abstractmethod
    def set_control(self, number: int, data: int) -> None:
        """Write a control."""

    @abstractmethod
    def ask_in_vain(self) -> None:
        """Read two words that the machine never answers."""

    @abstractmethod
    def tell_in_vain(self) -> None:
        """Write two words that it never takes."""

    @abstractmethod
    def run(self, max_cycles: int) -> tuple[int, int]:
        """Cycles and error code of a run to which nothing is sent."""

    def prepare(self, cycles: int) -> None:
        """Tell the machine how long its runs take, and their code."""
        self.set_control(0, cycles)
        self.set_control(1, CODE)

    def clock(self) -> int:
        """Cycles since the machine was made."""
        return self.control(1)


class EieHost(Host):
    executors: ClassVar = {
        "pysim": eie_pysim.PysimPort,
        "native": eie_native.NativePort,
        "cocotb": eie_cocotb.CocotbPort,
    }
    config = eie_config.preset("tiny", pes=3, clusters=1)
    toy = EieToy
    protocol = eie_port.Port
    refused = eie_iomap.Error.NO_IMAGE
    is_busy = eie_iomap.Error.BUSY
    patience = eie_port.patience_cycles(config)

    def write(self, address: Any, data: Any) -> None:
        self.port.write(eie_iomap.Memory.ACTIVATIONS, 0, address, data)

    def read(self, address: Any) -> np.ndarray:
        return self.port.read(eie_iomap.Memory.ACTIVATIONS, 0, address)

    def control(self, number: int) -> int:
        return int(self.port.read(eie_iomap.Memory.CONTROL, 0, number))

    def set_control(self, number: int, data: int) -> None:
        self.port.write(eie_iomap.Memory.CONTROL, 0, number, data)

    def ask_in_vain(self) -> None:
        self.port.read(eie_iomap.Memory.COUNTERS, 0, np.arange(2))

    def tell_in_vain(self) -> None:
        self.port.write(eie_iomap.Memory.COUNTERS, 0, np.arange(2), 1)

    def run(self, max_cycles: int) -> tuple[int, int]:
        return self.port.run(max_cycles)


class NmHost(Host):
    executors: ClassVar = {
        "pysim": nm_pysim.PysimPort,
        "native": nm_native.NativePort,
        "cocotb": nm_cocotb.CocotbPort,
    }
    # Words of both streams are wider than a limb.
    config = nm_config.preset("tiny", columns=16, load_bits=128)
    toy = NmToy
    protocol = nm_port.Port
    refused = nm_iomap.Error.DESCRIPTOR
    is_busy = nm_iomap.Error.BUSY
    patience = nm_port.patience_cycles(config)

    def write(self, address: Any, data: Any) -> None:
        self.port.write(nm_iomap.Memory.DESCRIPTOR, np.asarray(address) + NmToy.FIRST, data)

    def read(self, address: Any) -> np.ndarray:
        return self.port.read(nm_iomap.Memory.DESCRIPTOR, np.asarray(address) + NmToy.FIRST)

    def control(self, number: int) -> int:
        return int(self.port.read(nm_iomap.Memory.DESCRIPTOR, number))

    def set_control(self, number: int, data: int) -> None:
        self.port.write(nm_iomap.Memory.DESCRIPTOR, number, data)

    def ask_in_vain(self) -> None:
        self.port.read(nm_iomap.Memory.COUNTERS, np.arange(2))

    def tell_in_vain(self) -> None:
        self.port.write(nm_iomap.Memory.COUNTERS, np.arange(2), 1)

    def run(self, max_cycles: int) -> tuple[int, int]:
        ran = self.port.run(max_cycles, np.zeros((0, self.config.limbs), np.uint64))
        return ran.cycles, ran.error


HOSTS: dict[str, type[Host]] = {"eie": EieHost, "nm": NmHost}

each_executor = pytest.mark.parametrize(
    "executor", [pytest.param(name, marks=TIERS[name]) for name in TIERS]
)
"""Run a test on each executor, in the tier where that belongs."""

each_engine = pytest.mark.parametrize("engine", HOSTS.values(), ids=HOSTS)
"""Run a test on the toy machine of each engine."""
