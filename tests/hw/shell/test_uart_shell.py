"""The shell behind a UART in Amaranth's simulator, with the driver that boards have: networks run
as on the golden models, over bytes and over the pins, and whatever happens on the line."""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from spec.config import Config
from spec.eie.config import EieConfig
from spec.eie.config import preset as eie_preset
from sw.host.compare import first_difference, run_on
from sw.host.eie.driver import BusDevice as EieDevice
from sw.host.eie.golden import GoldenDevice as EieGolden
from sw.host.shell.client import Shell
from sw.host.shell.eie import EiePort
from sw.host.shell.serial import SerialLink
from tests.hw.shell.noise import Kind, NoisyPort, events, survive
from tests.hw.shell.ports import PysimBytes, PysimUart
from tests.hw.shell.test_shell import EIE, NM, nm_agrees
from tests.programs import random_acts, random_program

pytestmark = pytest.mark.flow

SMALL = eie_preset("tiny", pes=1)
QUEUE_WORDS = 16
"""Few, so that words wait on the host."""


def shell_of(port, configs: Sequence[Config], **options) -> Shell:
    return Shell(SerialLink(port, 1e6, tries=3, polls=100, **options), configs)


def small_work(
    rng: np.random.Generator, config: EieConfig = SMALL, sizes: Sequence[int] = (3, 2)
) -> Callable[[Shell], None]:
    """A network of a few weights."""
    program = random_program(rng, config, list(sizes))
    acts = random_acts(rng, config, config.lanes, sizes[0])
    told = run_on(EieGolden(config), program, acts)

    def work(shell: Shell) -> None:
        found = run_on(EieDevice(EiePort(shell), "UART"), program, acts)
        assert first_difference(program, told, found) is None

    return work


@pytest.mark.parametrize("queue_words", [QUEUE_WORDS, 512])
def test_eie(rng, queue_words):
    config = EIE[1]
    small_work(rng, config, (6, 5, 4))(shell_of(PysimBytes([config], queue_words), [config]))


@pytest.mark.parametrize("queue_words", [QUEUE_WORDS, 512])
def test_nm(rng, queue_words):
    config = NM[0]
    nm_agrees(rng, shell_of(PysimBytes([config], queue_words), [config]), config)


def test_both_in_one_core(rng):
    configs = [SMALL, NM[0]]
    shell = shell_of(PysimBytes(configs), configs)
    small_work(rng)(shell)
    nm_agrees(rng, shell, NM[0])


def test_over_the_pins(rng):
    port = PysimUart([SMALL])
    shell = shell_of(port, [SMALL])
    small_work(rng)(shell)
    shell.write("SCRATCH", 0xC0DBDCDD)
    assert shell.read("SCRATCH") == 0xC0DBDCDD
    assert (shell.read("DROPPED"), port.context.get(port.dut.error)) == (0, 0)


@pytest.mark.parametrize("part", range(9))
def test_whatever_happens(rng, part):
    port = PysimBytes([SMALL], 64, patience=1_000)
    noisy, work = NoisyPort(port), small_work(rng)
    seen: Counter[Kind] = Counter()
    work(shell_of(noisy, [SMALL]))
    for event in events(rng, 12, (noisy.passed[0], noisy.passed[1])):
        seen[event.kind] += survive(noisy, event, lambda: shell_of(noisy, [SMALL]), work)
        assert noisy.happened, event
    # What happens to a byte is mended on the way.
    assert not any(seen[kind] for kind in (Kind.FLIP, Kind.DROP, Kind.INSERT))
    assert seen[Kind.RESET] == seen[Kind.KILL] == 2
