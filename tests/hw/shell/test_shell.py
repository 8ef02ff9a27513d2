"""The whole shell in Amaranth's simulator, with the driver that boards have: networks run on the
arrays behind it as on the golden models."""

from dataclasses import replace

import numpy as np
import pytest

from spec.eie.config import EieConfig
from spec.eie.config import preset as eie_preset
from spec.nm.config import NmConfig
from spec.nm.config import preset as nm_preset
from spec.nm.descriptor import Descriptor
from spec.nm.golden import check_acts
from spec.nm.iomap import Error, Memory
from spec.nm.stream import load_words
from spec.registers.table import registers
from sw.host.compare import first_difference, run_on
from sw.host.device import DeviceError
from sw.host.eie.driver import BusDevice as EieDevice
from sw.host.eie.golden import GoldenDevice as EieGolden
from sw.host.nm.driver import BusDevice as NmDevice
from sw.host.nm.golden import GoldenDevice as NmGolden
from sw.host.nm.port import Ran
from sw.host.shell.client import Shell
from sw.host.shell.eie import EiePort
from sw.host.shell.nm import NmPort
from tests.hw.shell.link import PATIENCE, PysimLink
from tests.hw.streams import paces
from tests.programs import random_case as random_eie_case
from tests.spec.nm.cases import random_case as random_nm_case

pytestmark = pytest.mark.flow

EIE = [
    eie_preset("tiny"),
    eie_preset("tiny", pes=3, clusters=1, lanes=2, double_buffer=False, counter_bits=40),
    eie_preset("tiny", pes=2, clusters=1, queue_depth=3, scan_pipeline=True, pe_registers=True),
]
NM = [nm_preset("tiny"), nm_preset("tiny", load_bits=128, counter_bits=64)]


def eie_agrees(rng: np.random.Generator, shell: Shell, config: EieConfig) -> None:
    """Two random networks, one after the other."""
    device = EieDevice(EiePort(shell), "shell")
    for _ in range(2):
        case = random_eie_case(rng, config, images=config.lanes, largest=12)
        told, found = (
            run_on(each, case.program, case.batch) for each in (EieGolden(config), device)
        )
        assert first_difference(case.program, told, found) is None


def nm_agrees(rng: np.random.Generator, shell: Shell, config: NmConfig) -> None:
    """Two random networks."""
    device = NmDevice(NmPort(shell), "shell")
    for _ in range(2):
        case = random_nm_case(rng, config, most=8)
        told, found = (run_on(each, case.program, case.acts) for each in (NmGolden(config), device))
        assert first_difference(case.program, told, found) is None


@pytest.mark.parametrize("traffic", range(6))
@pytest.mark.parametrize("config", EIE)
def test_eie(rng, config, traffic):
    shell = Shell(PysimLink([config], *paces(rng)[traffic]), [config])
    eie_agrees(rng, shell, config)


@pytest.mark.parametrize("traffic", range(6))
@pytest.mark.parametrize("config", NM)
def test_nm(rng, config, traffic):
    shell = Shell(PysimLink([config], *paces(rng)[traffic]), [config])
    nm_agrees(rng, shell, config)


def test_both_in_one_core(rng):
    configs = [EIE[1], NM[0]]
    shell = Shell(PysimLink(configs), configs)
    for _ in range(2):
        eie_agrees(rng, shell, EIE[1])
        nm_agrees(rng, shell, NM[0])


def test_a_start_within_a_run_changes_nothing_but_the_error(rng):
    """Of either engine, there or not: the run's cycles are counted on."""
    config = EIE[0]
    case = random_eie_case(rng, config, images=1, largest=12)
    told = run_on(EieGolden(config), case.program, case.batch)
    shell = Shell(PysimLink([config]), [config])
    device = EieDevice(EiePort(shell), "shell")
    assert first_difference(case.program, told, run_on(device, case.program, case.batch)) is None
    before = shell.read("CYCLES")
    shell.pulse("START_NM")
    assert shell.read("CYCLES") == before
    pulse = shell.pulse

    def twice(field: str) -> None:
        pulse(field)
        if field == "START_EIE":
            pulse(field)

    shell.pulse = twice
    with pytest.raises(DeviceError, match="BUSY"):
        run_on(device, case.program, case.batch)
    shell.pulse = pulse
    assert first_difference(case.program, told, run_on(device, case.program, case.batch)) is None


class NmBench:
    """An N:M array behind a shell, and a run that is right."""

    def __init__(self, rng: np.random.Generator, config: NmConfig):
        program = (case := random_nm_case(rng, config, most=8)).program
        acts = check_acts(program, 0, case.acts)
        self.descriptor = program.descriptor(0, len(acts))
        self.loads = load_words(program, 0, self.descriptor, acts)
        self.shell = Shell(PysimLink([config]), [config])
        self.port = NmPort(self.shell)
        self.describe(self.descriptor)
        self.right = self.run(self.loads)
        assert self.right.error == Error.NONE
        assert self.right.taken == len(self.loads)

    def describe(self, descriptor: Descriptor) -> None:
        words = np.array(descriptor.pack(self.port.config), np.uint64)
        self.port.write(Memory.DESCRIPTOR, np.arange(len(words)), words)

    def run(self, loads: np.ndarray) -> Ran:
        return self.port.run(PATIENCE, loads)

    def is_right(self, ran: Ran, error: Error = Error.NONE) -> bool:
        same = (ran.cycles, ran.taken) == (self.right.cycles, self.right.taken)
        return same and ran.error == error and np.array_equal(ran.results, self.right.results)


@pytest.mark.parametrize("config", NM)
def test_what_a_failed_run_leaves_is_gone(rng, config):
    """Words that stand behind a wrong strip, or a wrong descriptor, are not the next run's."""
    bench = NmBench(rng, config)
    for _ in range(2):
        wrong = bench.run(np.zeros_like(bench.loads))
        assert (wrong.error, wrong.taken) == (Error.STRIP, 1)
        assert bench.is_right(bench.run(bench.loads))
        bench.describe(replace(bench.descriptor, strips=0))
        wrong = bench.run(bench.loads)
        assert (wrong.error, wrong.taken) == (Error.DESCRIPTOR, 0)
        bench.describe(bench.descriptor)
        assert bench.is_right(bench.run(bench.loads))


def test_a_start_while_the_array_stands_still(rng):
    """It is an error, and the run is counted to its last cycle."""
    bench = NmBench(rng, NM[0])
    pulse = bench.shell.pulse

    def twice(field: str) -> None:
        pulse(field)
        pulse(field)

    bench.shell.pulse = twice
    assert bench.is_right(bench.run(bench.loads), Error.BUSY)
    bench.shell.pulse = pulse
    assert bench.is_right(bench.run(bench.loads))


@pytest.mark.parametrize("waits", [0, 2, 11])
def test_reset_in_a_run(rng, waits):
    """Of registered PEs, with columns and rows on their ways; the next run is as ever."""
    config = EIE[2]
    shell = Shell(PysimLink([config]), [config])
    eie_agrees(rng, shell, config)
    shell.pulse("START_EIE")
    for _ in range(waits):
        shell.read("SCRATCH")
    shell.reset()
    eie_agrees(rng, shell, config)


@pytest.mark.parametrize("config", [EIE[0], NM[0]], ids=["eie", "nm"])
def test_reset_wins_over_start(rng, config):
    """In one write, and a run that would wait for words."""
    shell = Shell(PysimLink([config]), [config])
    agrees = eie_agrees if isinstance(config, EieConfig) else nm_agrees
    control = next(one for one in registers([config]) if one.name == "CONTROL")
    shell.write("FEED", 5)
    starts = ("RESET", "START_EIE", "START_NM")
    shell.write("CONTROL", sum(1 << bits.low for bits in control.fields if bits.name in starts))
    for _ in range(PATIENCE // 100):
        shell.read("SCRATCH")
    assert shell.read("STATUS") == 0
    agrees(rng, shell, config)
