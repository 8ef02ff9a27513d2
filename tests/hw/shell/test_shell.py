"""The whole shell in Amaranth's simulator, with the driver that boards have: networks run on the
arrays behind it as on the golden models."""

import numpy as np
import pytest

from spec.eie.config import EieConfig
from spec.eie.config import preset as eie_preset
from spec.nm.config import NmConfig
from spec.nm.config import preset as nm_preset
from sw.host.compare import first_difference, run_on
from sw.host.device import DeviceError
from sw.host.eie.driver import BusDevice as EieDevice
from sw.host.eie.golden import GoldenDevice as EieGolden
from sw.host.nm.driver import BusDevice as NmDevice
from sw.host.nm.golden import GoldenDevice as NmGolden
from sw.host.shell.client import Shell
from sw.host.shell.eie import EiePort
from sw.host.shell.nm import NmPort
from tests.hw.shell.link import PysimLink
from tests.hw.streams import paces
from tests.programs import random_case as random_eie_case
from tests.spec.nm.cases import random_case as random_nm_case

pytestmark = pytest.mark.flow

EIE = [
    eie_preset("tiny"),
    eie_preset("tiny", pes=3, clusters=1, lanes=2, double_buffer=False, counter_bits=40),
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
