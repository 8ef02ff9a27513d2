"""What central control, the scan and the host do to one PE, for benches of it."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import cocotb
import numpy as np

from hw.eie.payloads import column_layout
from spec.eie.config import IO_DATA_BITS, EieConfig
from spec.eie.counters import PE_COUNTERS
from spec.eie.cycles import DRAIN_CYCLES, count_pass
from spec.eie.descriptor import Descriptor
from spec.eie.golden import decode_pass
from spec.eie.iomap import Memory, pe_counter_bits
from spec.eie.program import Pass, Segment
from spec.numbers import requantize
from tests.hw.streams import Pace, steady
from tests.sim.benches.drivers import Bench, Fields, Stream
from tests.sim.benches.jobs import Job

INPUTS = """broadcast__valid offered phase__scanning phase__computing phase__save drain__enable
drain__clear drain__store_enable scan__enable host__write_enable host__read_enable"""


class Order(NamedTuple):
    """A row to drain."""

    row: int
    bias_address: int
    store_address: int
    clear: bool


class Share:
    """One PE's share of a job's first pass, and what the models say about it."""

    def __init__(self, job: Job, pe: int) -> None:
        self.config: EieConfig = job.program.config
        self.pe = pe
        self.segment: Segment = job.program.segments[0]
        self.step: Pass = self.segment.passes[0]
        self.decoded = decode_pass(self.config, self.segment, self.step)

    @property
    def descriptor(self) -> Descriptor:
        return self.step.descriptor

    def columns(self, acts: np.ndarray) -> list[int]:
        """The non-zero activations, as payloads of the broadcast."""
        fields = Fields.of(column_layout(self.config))
        base = self.descriptor.pointer_base
        return [
            fields.pack(pointer=base + int(column), value=int(acts[column]))
            for column in np.flatnonzero(acts)
        ]

    def sums(self, acts: np.ndarray) -> np.ndarray:
        rows = self.descriptor.rows * self.config.pes
        return self.decoded.multiply(acts, np.flatnonzero(acts), rows)[self.pe :: self.config.pes]

    def outputs(self, acts: np.ndarray) -> list[int]:
        """Activations after drain, as the words in which they are stored."""
        step = self.descriptor
        bias = self.segment.biases[self.pe, step.bias_base : step.bias_base + step.rows]
        scale, bits = (step.multiplier, step.shift), self.config.act_bits
        outputs = requantize(self.sums(acts), bias, *scale, act_bits=bits, relu=step.relu)
        return (outputs & ((1 << bits) - 1)).tolist()

    def entries(self, acts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Entries and pads of the active columns in this PE, as a matrix of one PE."""
        active = np.flatnonzero(acts)
        decoded, own = self.decoded, slice(self.pe, self.pe + 1)
        return decoded.entries[active, own], decoded.pads[active, own]

    def counts(self, acts: np.ndarray) -> dict[str, int]:
        """Counters if this PE were alone and no activation zero: its columns come without a gap."""
        entries, pads = self.entries(acts)
        columns = len(entries)
        descriptor = replace(self.descriptor, columns=columns, input_rows=max(1, columns))
        alone = replace(self.config, pes=1)
        counts = count_pass(alone, descriptor, [np.arange(columns)], entries, pads)
        return dict(zip(PE_COUNTERS, counts.pe[0, 0].tolist(), strict=True))


class PeBench(Bench):
    """A PE, and every side of it."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut, INPUTS)
        self.broadcast = Stream(self, "broadcast", follow="offered")
        self.blocked = 0
        cocotb.start_soon(self._observe())

    async def _observe(self) -> None:
        """Count the cycles in which a column cannot come in; nothing here is a mistake."""
        dut = self.dut
        while True:
            await self.edge
            self.blocked += int(dut.offered.value) and not int(dut.broadcast__ready.value)
            assert not int(dut.row_error.value), "row_error without a mistake"
            assert not int(dut.pointer_error.value), "pointer_error without a mistake"

    # The host ---------------------------------------------------------------------------------

    async def write(
        self, memory: Memory, words: Sequence[int], first: int = 0, pace: Pace = steady
    ) -> None:
        """Write words to addresses from ``first`` on, in two's complement if negative."""
        for address, word in enumerate(words, first):
            while not pace():
                await self.edge
            data = int(word) & ((1 << IO_DATA_BITS) - 1)
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
        segment, pe = share.segment, share.pe
        await self.write(Memory.POINTERS, segment.pointers[pe], pace=pace)
        await self.write(Memory.LINES, segment.lines[pe], pace=pace)
        await self.write(Memory.BIASES, segment.biases[pe], pace=pace)
        for number, book in enumerate(segment.codebooks):
            await self.write(Memory.CODEBOOK, book, number << share.config.code_bits, pace)

    # Central control --------------------------------------------------------------------------

    def configure(self, share: Share, **changes: int) -> None:
        """Set the descriptor of the running pass."""
        words = replace(share.descriptor, **changes).pack(share.config)
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
        """Give orders, each to be stored when its activation is ready."""
        waiting = deque(orders)
        under_way: deque[Order | None] = deque([None] * DRAIN_CYCLES)
        while waiting or any(under_way):
            order = waiting.popleft() if waiting and pace() else None
            under_way.append(order)
            stored = under_way.popleft()
            self.drive("drain", enable=order is not None, clear=order is not None and order.clear)
            self.drive("drain", store_enable=stored is not None)
            if order:
                self.drive("drain", row=order.row, bias_address=order.bias_address)
            if stored:
                self.drive("drain", store_address=stored.store_address)
            await self.edge
        self.drive("drain", enable=0, clear=0, store_enable=0)

    async def counters(self, number: int) -> dict[str, int]:
        """End pass ``number``, and read what was counted in it."""
        self.drive("phase", save=1, saved_pass=number)
        await self.edge
        self.drive("phase", save=0)
        base = number << pe_counter_bits()
        return {
            name: await self.read(Memory.COUNTERS, base | index)
            for index, name in enumerate(PE_COUNTERS)
        }
