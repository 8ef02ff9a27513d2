"""Bench of the emitted shell: its driver runs networks over AXI, whatever has happened before."""

import json
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import cocotb
import numpy as np
import pytest
from cocotb.clock import Clock
from cocotb.task import bridge
from cocotb.triggers import ClockCycles, First
from cocotbext.axi import AxiStreamBus, AxiStreamMonitor

from sim.cocotb_server import PERIOD_STEPS
from sim.shell.axi_link import AxiLink
from spec.config import Config
from spec.eie.config import EieConfig
from spec.messages import Kind, answer_words, header, item_bits, words_for
from spec.nm import iomap as nm_iomap
from spec.nm.config import NmConfig
from spec.registers.table import ENGINES, NM, Access, ShellError, Source, registers
from sw.host.compare import first_difference, run_on
from sw.host.device import DeviceError
from sw.host.eie.driver import BusDevice as EieDevice
from sw.host.eie.golden import GoldenDevice as EieGolden
from sw.host.nm.driver import BusDevice as NmDevice
from sw.host.nm.golden import GoldenDevice as NmGolden
from sw.host.port import PortError
from sw.host.shell.client import Shell
from sw.host.shell.eie import EiePort
from sw.host.shell.link import AccessError
from sw.host.shell.nm import NmPort
from tests.programs import random_case as random_eie_case
from tests.spec.nm.cases import random_case as random_nm_case

CONFIGS = "SKIPSTONE_BENCH_CONFIGS"
RAGGED = "SKIPSTONE_BENCH_RAGGED"
EVENTS = "SKIPSTONE_BENCH_EVENTS"
"""Environment variables: configurations by engine, whether traffic is ragged, how many events."""


class CutError(PortError):
    """A link that broke."""


class Bench(AxiLink):
    """A shell with a clock; a link to it that can break.

    Attributes
    ----------
    rng : numpy Generator
        Of the running test.
    configs : list
    left : int or None
        Calls after which the link breaks.
    """

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.rng = np.random.default_rng(cocotb.RANDOM_SEED)
        found = json.loads(os.environ[CONFIGS])
        self.configs: list[Config] = [
            kind.from_json(found[kind.engine]) for kind in ENGINES if kind.engine in found
        ]
        self.left: int | None = None
        dut.rst.value = 0
        Clock(dut.clk, PERIOD_STEPS, "step").start()
        ragged = bool(int(os.environ[RAGGED]))
        super().__init__(dut, seed=cocotb.RANDOM_SEED if ragged else None)

    async def pulse_reset(self) -> None:
        """The reset of the whole shell, and of what drives it."""
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, int(self.rng.integers(1, 4)))
        self.dut.rst.value = 0
        await ClockCycles(self.dut.clk, 2)
        await self.forget()

    def do(self, call: Any) -> Any:
        """As always, or not at all any more: the call may have begun."""
        if self.left is None:
            return super().do(call)
        self.left -= 1
        return super().do(call if self.left >= 0 else self.cut(call))

    async def cut(self, call: Any) -> None:
        """Begin, and break off: by a reset in the middle of it, or behind it but in the middle of
        what is on its way."""
        self.left = None
        task = cocotb.start_soon(without_failure(call))
        cycles = ClockCycles(self.dut.clk, int(self.rng.integers(1, 30)))
        if self.rng.integers(2):
            await cycles
            await self.pulse_reset()
        else:
            # An access has to come to its end: AXI knows no way to break it off but a reset.
            await First(task, ClockCycles(self.dut.clk, self.patience))
            await cycles
            await self.forget()
        if not task.done():
            task.cancel()
        raise CutError("cut")

    async def error(self) -> tuple[int, int]:
        """Source and code."""
        address = next(one.address for one in registers(self.configs) if one.name == "ERROR")
        word = await self.read(address)
        return word >> 8 & 0xFF, word & 0xFF


async def without_failure(call: Any) -> None:
    """What nobody waits for may fail."""
    with suppress(PortError):
        await call


# A correct run --------------------------------------------------------------------------------


def devices(bench: Bench) -> Iterator[tuple[Config, Any, Any]]:
    """Configuration, golden model and driver of every array."""
    shell = Shell(bench, bench.configs)
    for config in bench.configs:
        if isinstance(config, EieConfig):
            yield config, EieGolden(config), EieDevice(EiePort(shell), "shell")
        else:
            assert isinstance(config, NmConfig)
            yield config, NmGolden(config), NmDevice(NmPort(shell), "shell")


def random_case(rng: np.random.Generator, config: Config, largest: int) -> tuple[Any, np.ndarray]:
    """A network and inputs for it."""
    if isinstance(config, EieConfig):
        case = random_eie_case(rng, config, images=config.lanes, largest=largest)
        return case.program, case.batch
    assert isinstance(config, NmConfig)
    one = random_nm_case(rng, config, most=largest)
    return one.program, one.acts


def agree(bench: Bench, largest: int) -> None:
    """A random network on every array: outputs and counters are those of the golden model."""
    for config, golden, device in devices(bench):
        program, batch = random_case(bench.rng, config, largest)
        told, found = run_on(golden, program, batch), run_on(device, program, batch)
        assert first_difference(program, told, found) is None


@cocotb.test()
async def networks(dut: Any) -> None:
    """One after the other, without a reset of the whole in between."""
    bench = Bench(dut)
    for _ in range(3):
        await bridge(agree)(bench, 12)


# Buses ----------------------------------------------------------------------------------------


@cocotb.test()
async def accesses(dut: Any) -> None:
    """To every address, aligned or not, whole or in part: the right answer, SLVERR and its code."""
    bench = Bench(dut)
    table = {one.address: one for one in registers(bench.configs)}
    order = bench.rng.permutation(np.arange(0, max(table) + 8, 4))
    for address in (int(one) for one in order):
        one = table.get(address)
        if one is None:
            await refused(bench, bench.read(address), ShellError.ADDRESS)
            await refused(bench, bench.write(address, bytes(4)), ShellError.ADDRESS)
            continue
        if one.access is Access.WRITE:
            await refused(bench, bench.read(address), ShellError.ACCESS)
        elif one.constant:
            assert await bench.read(address) == one.value
        if one.access is Access.READ:
            await refused(bench, bench.write(address, bytes(4)), ShellError.ACCESS)
        else:
            first, count = (
                int(part) for part in ((0, 3), (1, 3), (2, 2), (3, 1))[address // 4 % 4]
            )
            some = bench.write(address + first, bytes(count))
            await refused(bench, some, ShellError.STROBE)
        if one.access is Access.READ_WRITE:
            word = bytes(bench.rng.integers(256, size=4, dtype=np.uint8))
            await bench.write(address, word)
            assert await bench.read(address) == int.from_bytes(word, "little")


async def refused(bench: Bench, call: Awaitable[Any], error: ShellError) -> None:
    """The access fails; the code stays until it is cleared."""
    table = {one.name: one for one in registers(bench.configs)}
    clear = next(bits.mask for bits in table["CONTROL"].fields if bits.name == "CLEAR")
    with pytest.raises(AccessError, match="SLVERR"):
        await call
    assert await bench.error() == (Source.SHELL, error)
    await bench.write(table["CONTROL"].address, clear.to_bytes(4, "little"))
    assert await bench.error() == (Source.NONE, 0)


@cocotb.test()
async def ends_of_messages(dut: Any) -> None:
    """TLAST goes with a message's last answer, and with the results that ``RESULTS`` names."""
    bench = Bench(dut)
    monitor = AxiStreamMonitor(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst)
    await bridge(agree)(bench, 4)
    monitor.read_nowait()

    def asks() -> None:
        shell = Shell(bench, bench.configs)
        for config in bench.configs:
            for count in (1, 3, 2):
                items = np.zeros(count, np.uint64)
                if config.engine == NM:
                    items = nm_iomap.pack_reads(config, nm_iomap.Memory.COUNTERS, np.arange(count))
                shell.ask(config.engine, items)

    await bridge(asks)()
    for _ in bench.configs:
        for count in (1, 3, 2):
            assert len(monitor.recv_nowait()) == 4 * answer_words() * count
    assert monitor.empty()


# Events ---------------------------------------------------------------------------------------


async def bad_access(bench: Bench, numbers: random.Random) -> ShellError:
    """An access that is refused."""
    table = registers(bench.configs)
    constant = next(one.address for one in table if one.constant)
    control = next(one.address for one in table if one.access is Access.WRITE)
    call, error = numbers.choice(
        [
            (lambda: bench.read(0xFFC), ShellError.ADDRESS),
            (lambda: bench.write(0xFFC, bytes(4)), ShellError.ADDRESS),
            (lambda: bench.write(constant, bytes(4)), ShellError.ACCESS),
            (lambda: bench.read(control), ShellError.ACCESS),
            (lambda: bench.write(control + 1, bytes(2)), ShellError.STROBE),
        ]
    )
    with pytest.raises(AccessError, match="SLVERR"):
        await call()
    return error


async def bad_header(bench: Bench, numbers: random.Random) -> ShellError:
    """A message for nobody, of any length."""
    words = np.array([numbers.getrandbits(32) | 1 << 31 for _ in range(numbers.randint(1, 9))])
    await bench.offer(words)
    await arrived(bench)
    return ShellError.HEADER


async def short_item(bench: Bench, numbers: random.Random) -> ShellError:
    """A message that ends within an item; the items before it are never requests to read, whose
    answers would come."""
    config = bench.configs[numbers.randrange(len(bench.configs))]
    bits = item_bits(config)
    kind = numbers.choice([kind for kind in bits if kind != Kind.READ])
    words = words_for(bits[kind])
    whole = numbers.randint(0, 3) if kind == Kind.LOAD else 0
    count = whole * words + numbers.randint(1, words - 1)
    items = [numbers.getrandbits(32) for _ in range(count)]
    await bench.offer(np.array([header(config.engine, kind), *items]))
    await arrived(bench)
    return ShellError.CUT


async def stopped(bench: Bench, numbers: random.Random) -> ShellError:
    """A message that stops, somewhere, and never goes on."""
    config = bench.configs[numbers.randrange(len(bench.configs))]
    items = np.zeros(200, np.uint32)
    await bench.offer(np.array([header(config.engine, Kind.WRITE), *items]))
    await ClockCycles(bench.clock, numbers.randint(1, 60))
    await bench.forget()
    return ShellError.NONE


async def broken_run(bench: Bench, numbers: random.Random) -> ShellError:
    """A network that is broken off, somewhere, by a reset or by a link that lets go."""
    bench.left = numbers.randint(1, 60)
    try:
        await bridge(agree)(bench, 5)
    except (DeviceError, PortError):
        if bench.left is not None:
            raise
    bench.left = None
    return ShellError.NONE


async def arrived(bench: Bench) -> None:
    """All words of the source are taken."""
    await bench.source.wait()
    await ClockCycles(bench.clock, 8)


EVENTS_THERE_ARE: tuple[Callable[[Bench, random.Random], Awaitable[ShellError]], ...] = (
    bad_access,
    bad_header,
    short_item,
    stopped,
    broken_run,
)


@cocotb.test()
async def events(dut: Any) -> None:
    """Whatever happens: the code of the first error, then a correct run."""
    bench, numbers = Bench(dut), random.Random(cocotb.RANDOM_SEED)
    for _ in range(int(os.environ[EVENTS])):
        await bridge(agree)(bench, 4)
        happens = numbers.choice(EVENTS_THERE_ARE)
        error = await happens(bench, numbers)
        cocotb.log.info("%s: %s", happens.__name__, error.name)
        if error != ShellError.NONE:
            assert await bench.error() == (Source.SHELL, error), happens.__name__
    await bridge(agree)(bench, 4)
