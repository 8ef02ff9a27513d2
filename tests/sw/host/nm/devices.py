"""Devices and layers for the tests of the N:M driver."""

import numpy as np

from spec.nm.config import NmConfig, preset
from spec.nm.program import Program
from sw.host.nm.driver import BusDevice
from sw.host.nm.golden import GoldenDevice
from tests.spec.nm.cases import Case, random_case
from tests.sw.host.nm.fake_port import FakePort, Pace, steady

TINY = preset("tiny", weight_steps=64)


def load(
    program: Program, offered: Pace = steady, taken: Pace = steady
) -> tuple[BusDevice, FakePort]:
    """A device on a fresh fake port, with a program in it."""
    port = FakePort(program.config, offered, taken)
    device = BusDevice(port, "fake")
    device.load(program)
    return device, port


def golden_for(program: Program) -> GoldenDevice:
    device = GoldenDevice(program.config)
    device.load(program)
    return device


def small_case(rng: np.random.Generator, config: NmConfig = TINY) -> Case:
    return random_case(rng, config, most=10)
