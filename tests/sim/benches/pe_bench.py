"""What central control, the scan and the host do to one PE, for benches of it."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, NoReturn

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge

from hw.eie.payloads import column_layout
from hw.eie.tallies import SETTLE_CYCLES
from spec.config import IO_DATA_BITS
from spec.eie.config import EieConfig
from spec.eie.counters import PE_COUNTERS
from spec.eie.cycles import count_pass, drain_latency
from spec.eie.descriptor import Descriptor, element_fields
from spec.eie.golden import decode_pass
from spec.eie.iomap import Memory, pe_counter_bits
from spec.eie.program import Pass, Segment
from spec.eie.work import Work
from spec.fields import pack
from spec.numbers import requantize
from sw.host.eie.words import segment_writes
from tests.hw.streams import Pace, steady
from tests.sim.benches.drivers import Bench, Fields, Stream
from tests.sim.benches.jobs import Job, heard

INPUTS = """broadcast__valid offered reduced phase__scanning phase__computing phase__save
drain__enable drain__clear drain__bias_enable drain__store_enable scan__enable host__write_enable
host__read_enable"""


class Order(NamedTuple):
    """A row to drain."""

    row: int
    bias_address: int
    store_address: int
    clear: bool


class Share:
    """One PE's share of a job's first pass, and what the models say about it."""

    def __init__(self, job: Job, pe: int) -> None:
        self.job = job
        self.config: EieConfig = job.program.config
        self.pe = pe
        self.segment: Segment = job.program.segments[0]
        self.step: Pass = self.segment.passes[0]
        self.decoded = decode_pass(self.config, self.segment, self.step)

    @property
    def descriptor(self) -> Descriptor:
        return self.step.descriptor

    def columns(self, acts: np.ndarray) -> list[int]:
        """What is broadcast to this PE, as payloads."""
        fields = Fields.of(column_layout(self.config))
        base = self.descriptor.pointer_base
        return [
            fields.pack(pointer=base + one.column, values=one.packed(self.config))
            for one in heard(self.job, acts, self.pe)
        ]

    def sums(self, acts: np.ndarray) -> np.ndarray:
        """What this PE adds up, (lanes, rows): its own rows of the columns of its cluster."""
        pes = self.config.cluster_pes(self.descriptor.split)
        cluster, place = divmod(self.pe, pes)
        own = np.arange(acts.shape[1]) % self.config.pes // pes == cluster
        rows = self.descriptor.rows * pes
        return np.stack([self.decoded.multiply(lane * own, rows)[place::pes] for lane in acts])

    def outputs(self, acts: np.ndarray) -> list[list[int]]:
        """Activations if this PE's sums are all there are, as they are stored: lanes, rows."""
        step = self.descriptor
        bias = self.segment.biases[self.pe, self.bias_address(np.arange(step.rows))]
        scale, bits = (step.multiplier, step.shift), self.config.act_bits
        outputs = requantize(self.sums(acts), bias, *scale, act_bits=bits, relu=step.relu)
        return (outputs & ((1 << bits) - 1)).tolist()

    def bias_address(self, row: Any) -> Any:
        """Of the bias of a row: rows of all clusters side by side share one."""
        return self.descriptor.bias_base + (row >> self.descriptor.split)

    def work(self, acts: np.ndarray) -> Work:
        """What the broadcast columns cost in this PE, as a matrix of one PE."""
        active = [one.column for one in heard(self.job, acts, self.pe)]
        own, work = slice(self.pe, self.pe + 1), self.decoded.work
        return Work(work.weights[active, own], work.pads[active, own], work.lines[active, own])

    def counts(self, acts: np.ndarray) -> dict[str, int]:
        """Counters if this PE were alone and no activation zero: its columns come without a gap."""
        live = [np.count_nonzero(one.values) for one in heard(self.job, acts, self.pe)]
        columns = len(live)
        descriptor = replace(self.descriptor, split=0, columns=columns, input_rows=max(1, columns))
        alone = replace(self.config, pes=1, clusters=1)
        found = count_pass(alone, descriptor, np.array([live], np.int64), self.work(acts))
        return {name: int(found.of(name)[0, 0]) for name in PE_COUNTERS}


class PeBench(Bench):
    """A PE, and every side of it."""

    def __init__(self, dut: Any, config: EieConfig) -> None:
        super().__init__(dut, INPUTS)
        self.config = config
        self.broadcast = Stream(self, "broadcast", follow="offered")
        self.blocked = 0
        cocotb.start_soon(self._observe())
        cocotb.start_soon(self._reduce())

    async def _observe(self) -> None:
        """Count the cycles in which a column cannot come in; nothing here is a mistake."""
        dut = self.dut
        while True:
            await self.edge
            self.blocked += int(dut.offered.value) and not int(dut.broadcast__ready.value)
            assert not int(dut.row_error.value), "row_error without a mistake"
            assert not int(dut.pointer_error.value), "pointer_error without a mistake"

    async def _reduce(self) -> NoReturn:
        """Hand the sums back as if there were no other cluster, after as many steps."""
        falls = FallingEdge(self.dut.clk)
        under_way: deque[Any] = deque([0] * self.config.splits)
        while True:
            await falls
            under_way.append(self.dut.sums.value)
            self.dut.reduced.value = under_way.popleft()

    # The host ---------------------------------------------------------------------------------

    async def write(
        self, memory: Memory, words: Sequence[int], first: int = 0, pace: Pace = steady
    ) -> None:
        """Write words to addresses from ``first`` on, in two's complement if negative."""
        for address, word in enumerate(words, first):
            while not pace():
                await self.edge
            data = int(word) & ((1 << len(self.dut.host__data)) - 1)
            self.drive("host", write_enable=1, memory=memory, address=address, data=data)
            await self.edge
            self.drive("host", write_enable=0)

    async def read(self, memory: Memory, address: int) -> int:
        self.drive("host", read_enable=1, memory=memory, address=address)
        await self.edge
        self.drive("host", read_enable=0)
        await self.edge
        return int(self.dut.host__answer.value)

    async def load(self, share: Share, pace: Pace = steady) -> None:
        for memory, _, addresses, words in segment_writes(share.config, share.segment):
            if memory != Memory.DESCRIPTORS and words.size:
                # A row of words for each PE, or one for all.
                own = words[share.pe % len(words)]
                await self.write(memory, own.tolist(), int(addresses[0, 0]), pace)

    # Central control --------------------------------------------------------------------------

    def configure(self, share: Share, number: int | None = None, **changes: int) -> None:
        """Set the descriptor of the running pass, and its number, if it is given."""
        if number is not None:
            self.drive("phase", saved_pass=number)
        words = pack(element_fields(share.config), replace(share.descriptor, **changes))
        self.dut.settings.value = sum(word << IO_DATA_BITS * at for at, word in enumerate(words))

    async def clear(self, config: EieConfig) -> None:
        """Set all sums to zero, as after a reset."""
        for row in range(config.rows):
            self.drive("drain", clear=1, row=row)
            await self.edge
        self.drive("drain", clear=0)

    async def compute(self, columns: list[int], pace: Pace = steady) -> int:
        """Broadcast columns, wait until the PE is idle; gives the cycles from the first look."""
        begin = self.cycle
        self.blocked = 0
        self.drive("phase", computing=1, scanning=1)
        if columns:
            await self.broadcast.send(columns, pace)
        else:
            await self.edge
        self.drive("phase", scanning=0)
        await self.edge
        while not int(self.dut.idle.value):
            await self.edge
        self.drive("phase", computing=0)
        return self.cycle - begin

    def stop(self) -> None:
        """What a reset does to central control."""
        self.drive("phase", computing=0, scanning=0)

    async def drain(self, orders: Sequence[Order], pace: Pace = steady) -> None:
        """Give orders; the bias is due when the sum comes back, and it is stored when its
        activation is ready."""
        waiting = deque(orders)
        splits, latency = self.config.splits, drain_latency(self.config)
        under_way: deque[Order | None] = deque([None] * (latency + 1))
        while waiting or any(under_way):
            order = waiting.popleft() if waiting and pace() else None
            under_way.appendleft(order)
            under_way.pop()
            biased, stored = under_way[splits], under_way[latency]
            self.drive("drain", enable=order is not None, clear=order is not None and order.clear)
            self.drive("drain", bias_enable=biased is not None, store_enable=stored is not None)
            if order:
                self.drive("drain", row=order.row)
            if biased:
                self.drive("drain", bias_address=biased.bias_address)
            if stored:
                self.drive("drain", store_address=stored.store_address)
            await self.edge
        self.drive("drain", enable=0, clear=0, bias_enable=0, store_enable=0)

    async def counters(self, number: int) -> dict[str, int]:
        """End pass ``number``, which was running, and read what was counted in it."""
        self.drive("phase", save=1)
        await self.edge
        self.drive("phase", save=0)
        await self.cycles(SETTLE_CYCLES - 1)
        base = number << pe_counter_bits()
        return {
            name: await self.read(Memory.COUNTERS, base | index)
            for index, name in enumerate(PE_COUNTERS)
        }
