"""Every executor, opened on the toy machine, for the tests of ports."""

from collections.abc import Callable

import pytest

from sim.eie.cocotb_port import CocotbPort
from sim.eie.native import NativePort
from sim.eie.pysim import PysimPort
from spec.eie.config import preset
from tests.sim.toy_machine import ToyMachine

CONFIG = preset("tiny", pes=3, clusters=1)
EXECUTORS: dict[str, Callable] = {"pysim": PysimPort, "native": NativePort, "cocotb": CocotbPort}
TIERS = {
    "pysim": pytest.mark.flow,
    "native": pytest.mark.verilator,
    "cocotb": pytest.mark.verilator,
}
RAGGED = {"steady": None, "ragged": 5}

each_executor = pytest.mark.parametrize(
    "executor", [pytest.param(name, marks=TIERS[name]) for name in EXECUTORS]
)
"""Run a test on each executor, in the tier where that belongs."""


def open_toy(executor: str, **options: object):
    """A port of the toy machine."""
    return EXECUTORS[executor](CONFIG, component=ToyMachine, **options)
