"""Machines with the ports of the arrays and next to nothing behind them, to test executors with."""

from abc import abstractmethod
from collections.abc import Mapping
from types import ModuleType
from typing import Any, ClassVar

from amaranth import Cat, Const, Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.memory import Ram
from hw.stream_queue import StreamQueue
from spec.config import IO_DATA_BITS
from spec.eie import iomap as eie_iomap
from spec.eie.config import EieConfig
from spec.nm import iomap as nm_iomap
from spec.nm.config import NmConfig

ROW_BITS = 4


class Toy(wiring.Component):
    """Keeps some words, and is busy for as long as it is told: what the toys of all engines do.

    It has controls. A write to control 0 sets the cycles of a run, to control 1 its error code. A
    read of control 0 tells how many cycles there have been since the start, of 1 since the machine
    was made, of 2 whatever the engine's toy counts. A request for COUNTERS is never taken, so that
    the host waits in vain.

    Parameters
    ----------
    config
    members : mapping
        Of the signature, beside those that all arrays have.
    kept_bits : int
        Of the address of a kept word.
    """

    iomap: ClassVar[ModuleType]
    """The engine's."""
    refused: ClassVar[int]
    """Error code of a start before the cycles of a run have been set."""

    def __init__(self, config: Any, members: Mapping[str, Any], *, kept_bits: int):
        iomap = self.iomap
        self.config = config
        self.kept_bits = kept_bits
        self.counted = Signal(32)
        super().__init__(
            {
                "write": In(stream.Signature(sum(iomap.write_fields(config).values()))),
                "read": In(stream.Signature(sum(iomap.read_fields(config).values()))),
                "data": Out(stream.Signature(IO_DATA_BITS)),
                "start": In(1),
                "busy": Out(1),
                "error": Out(iomap.ERROR_BITS),
                **members,
            }
        )

    @abstractmethod
    def is_control(self, request: dict) -> Any:
        """Whether a request is for a control."""

    @abstractmethod
    def kept_address(self, request: dict) -> Any:
        """Of a kept word."""

    def is_for_busy(self, request: dict) -> Any:
        """Whether a write is taken while busy, too; others wait."""
        return Const(0)

    def busy_after_reset(self) -> int:
        """For how many cycles."""
        return 0

    @abstractmethod
    def serve(self, m: Module, wrote: Signal, launch: Signal) -> None:
        """The engine's own: what happens during runs, and ``counted``."""

    def elaborate(self, platform):
        m = Module()
        write = self._fields(self.write.payload, self.iomap.write_fields(self.config))
        read = self._fields(self.read.payload, self.iomap.read_fields(self.config))
        left = Signal(32, init=self.busy_after_reset())
        m.d.comb += self.busy.eq(left != 0)

        # Take a write at once, a read when the answer before has gone.
        deaf = self.iomap.Memory.COUNTERS
        writes, reads, asked = Signal(), Signal(), Signal()
        m.d.comb += [
            self.write.ready.eq(Mux(self.busy, self.is_for_busy(write), write["memory"] != deaf)),
            self.read.ready.eq(
                ~self.busy
                & ~self.write.valid
                & ~asked
                & (~self.data.valid | self.data.ready)
                & (read["memory"] != deaf)
            ),
            writes.eq(self.write.valid & self.write.ready),
            reads.eq(self.read.valid & self.read.ready),
        ]
        m.d.sync += asked.eq(reads)
        launch, taken = Signal(), Signal(32)
        self._answer(m, write, read, writes, reads, asked, taken)
        self._run(m, write, writes, left, launch, taken)
        self.serve(m, writes, launch)
        return m

    def _answer(self, m, write, read, writes, reads, asked, taken) -> None:
        """Keep words, and answer reads."""
        m.submodules.words = words = Ram(IO_DATA_BITS, 1 << self.kept_bits)
        m.d.comb += [
            words.write_enable.eq(writes & ~self.is_control(write)),
            words.write_address.eq(self.kept_address(write)),
            words.write_data.eq(write["data"]),
            words.read_enable.eq(reads),
            words.read_address.eq(self.kept_address(read)),
        ]
        now, count, of_words = Signal(32), Signal(32), Signal()
        address = read["address"]
        m.d.sync += [
            now.eq(now + 1),
            count.eq(Mux(address[1], self.counted, Mux(address[0], now, taken))),
            of_words.eq(~self.is_control(read)),
        ]
        with m.If(asked):
            m.d.sync += [
                self.data.valid.eq(1),
                self.data.payload.eq(Mux(of_words, words.read_data, count)),
            ]
        with m.Elif(self.data.ready):
            m.d.sync += self.data.valid.eq(0)

    def _run(self, m, write, writes, left, launch, taken) -> None:
        """Be busy for as long as the host has asked for after a start."""
        length, code = Signal(32), Signal(self.iomap.ERROR_BITS)
        with m.If(writes & self.is_control(write)):
            with m.If(write["address"][0]):
                m.d.sync += code.eq(write["data"])
            with m.Else():
                m.d.sync += length.eq(write["data"])
        with m.If(self.busy):
            m.d.sync += [left.eq(left - 1), taken.eq(taken + 1)]
        with m.If(self.start):
            with m.If(self.busy):
                m.d.sync += self.error.eq(self.iomap.Error.BUSY)
            with m.Elif(length == 0):
                m.d.sync += self.error.eq(self.refused)
            with m.Else():
                m.d.comb += launch.eq(1)
                m.d.sync += [left.eq(length), taken.eq(0), self.error.eq(code)]

    @staticmethod
    def _fields(payload, widths: dict[str, int]) -> dict:
        """The fields of a payload, by name."""
        fields, at = {}, 0
        for name, width in widths.items():
            fields[name] = payload[at : at + width]
            at += width
        return fields


class EieToy(Toy):
    """Keeps ``2 ** ROW_BITS`` words for each PE, as ACTIVATIONS; writes to LINES, which are kept as
    activations, are taken while busy, too. Control 2 counts these writes. Like the array, it is
    busy for ``config.rows`` cycles after reset."""

    iomap = eie_iomap
    refused = eie_iomap.Error.NO_IMAGE

    def __init__(self, config: EieConfig):
        super().__init__(config, {}, kept_bits=(config.pes << ROW_BITS).bit_length())

    def is_control(self, request: dict):
        return request["memory"] == eie_iomap.Memory.CONTROL

    def kept_address(self, request: dict):
        return Cat(request["address"][:ROW_BITS], request["pe"])

    def is_for_busy(self, request: dict):
        return request["memory"] == eie_iomap.Memory.LINES

    def busy_after_reset(self) -> int:
        return self.config.rows

    def serve(self, m: Module, wrote: Signal, launch: Signal) -> None:
        m.d.sync += self.counted.eq(self.counted + (wrote & self.busy))
        with m.If(launch):
            m.d.sync += self.counted.eq(0)


class NmToy(Toy):
    """Keeps words from address :attr:`FIRST` on. While busy it takes every second word of the load
    stream, if it can, and gives it back on the result stream, added to the number of words before
    it. Control 2 counts the host's mistakes: words that were offered and then taken back, or
    changed, and cycles between runs in which it moves a stream."""

    FIRST = 4
    """Addresses below are controls."""
    DEPTH = 3
    """Words that are kept until their result is taken."""

    iomap = nm_iomap
    refused = nm_iomap.Error.DESCRIPTOR

    def __init__(self, config: NmConfig):
        members = {
            "i": In(stream.Signature(config.load_bits)),
            "o": Out(stream.Signature(config.lane_bits)),
        }
        super().__init__(config, members, kept_bits=nm_iomap.address_bits(config))

    def is_control(self, request: dict):
        return request["address"] < self.FIRST

    def kept_address(self, request: dict):
        return request["address"]

    def serve(self, m: Module, wrote: Signal, launch: Signal) -> None:
        queue = StreamQueue(self.config.lane_bits, self.DEPTH)
        m.submodules.queue = ResetInserter(launch)(queue)
        turn, number = Signal(), Signal(32)
        takes = Signal()
        m.d.comb += [
            # It may be ready only for what is offered, in the same cycle: executors must bear it.
            self.i.ready.eq(self.i.valid & self.busy & turn & queue.i.ready),
            takes.eq(self.i.ready),
            queue.i.valid.eq(takes),
            queue.i.payload.eq(self.i.payload + number),
            self.o.valid.eq(self.busy & queue.o.valid),
            self.o.payload.eq(queue.o.payload),
            queue.o.ready.eq(self.o.ready & self.busy),
        ]
        m.d.sync += turn.eq(~turn)
        with m.If(takes):
            m.d.sync += number.eq(number + 1)
        with m.If(launch):
            m.d.sync += [turn.eq(0), number.eq(0)]

        # Watch the host.
        waits, waiting = Signal(), Signal(self.config.load_bits)
        m.d.sync += [
            waits.eq(self.busy & self.i.valid & ~self.i.ready),
            waiting.eq(self.i.payload),
        ]
        changed = waits & (~self.i.valid | (self.i.payload != waiting))
        with m.If(Mux(self.busy, changed, self.i.valid | self.o.ready)):
            m.d.sync += self.counted.eq(self.counted + 1)
