"""A machine with the ports of the array and next to nothing behind them, to test executors with."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.memory import Ram
from spec.eie.config import IO_DATA_BITS, EieConfig
from spec.eie.iomap import ERROR_BITS, Error, Memory, read_fields, write_fields

ROW_BITS = 4


class ToyMachine(wiring.Component):
    """Keeps ``2 ** ROW_BITS`` words for each PE, and is busy for as long as it is told.

    A write to CONTROL 0 sets the cycles of a run, to CONTROL 1 its error code. A read of CONTROL 0
    tells how many cycles there have been since the start, of 1 since the machine was made, of 2 how
    many writes were taken in these cycles. ACTIVATIONS are kept; writes to LINES are taken while
    busy, too, and are kept as activations. A request for COUNTERS is never taken, so that the host
    waits in vain. Like the array, the machine is busy for ``config.rows`` cycles after reset.
    """

    def __init__(self, config: EieConfig):
        self.config = config
        super().__init__(
            {
                "write": In(stream.Signature(sum(write_fields(config).values()))),
                "read": In(stream.Signature(sum(read_fields(config).values()))),
                "data": Out(stream.Signature(IO_DATA_BITS)),
                "start": In(1),
                "busy": Out(1),
                "error": Out(ERROR_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = Ram(IO_DATA_BITS, self.config.pes << ROW_BITS)
        write = self._fields(self.write.payload, write_fields(self.config))
        read = self._fields(self.read.payload, read_fields(self.config))

        # Take a write at once, a read when the answer before has gone.
        writes, reads, asked = Signal(), Signal(), Signal()
        m.d.comb += [
            self.write.ready.eq(
                Mux(self.busy, write["memory"] == Memory.LINES, write["memory"] != Memory.COUNTERS)
            ),
            self.read.ready.eq(
                ~self.busy
                & ~self.write.valid
                & ~asked
                & (~self.data.valid | self.data.ready)
                & (read["memory"] != Memory.COUNTERS)
            ),
            writes.eq(self.write.valid & self.write.ready),
            reads.eq(self.read.valid & self.read.ready),
        ]
        m.d.comb += [
            words.write_enable.eq(writes & (write["memory"] != Memory.CONTROL)),
            words.write_address.eq(Cat(write["address"][:ROW_BITS], write["pe"])),
            words.write_data.eq(write["data"]),
            words.read_enable.eq(reads),
            words.read_address.eq(Cat(read["address"][:ROW_BITS], read["pe"])),
        ]
        taken, now, hidden, count = Signal(32), Signal(32), Signal(32), Signal(32)
        of_words = Signal()
        m.d.sync += [
            now.eq(now + 1),
            hidden.eq(hidden + (writes & self.busy)),
            asked.eq(reads),
            count.eq(Mux(read["address"][1], hidden, Mux(read["address"][0], now, taken))),
            of_words.eq(read["memory"] != Memory.CONTROL),
        ]
        with m.If(asked):
            m.d.sync += [
                self.data.valid.eq(1),
                self.data.payload.eq(Mux(of_words, words.read_data, count)),
            ]
        with m.Elif(self.data.ready):
            m.d.sync += self.data.valid.eq(0)

        # Be busy after reset, and for as long as the host has asked for after a start.
        left = Signal(32, init=self.config.rows)
        length, code = Signal(32), Signal(ERROR_BITS)
        with m.If(writes & (write["memory"] == Memory.CONTROL)):
            with m.If(write["address"][0]):
                m.d.sync += code.eq(write["data"])
            with m.Else():
                m.d.sync += length.eq(write["data"])
        m.d.comb += self.busy.eq(left != 0)
        with m.If(self.busy):
            m.d.sync += [left.eq(left - 1), taken.eq(taken + 1)]
        with m.If(self.start):
            with m.If(self.busy):
                m.d.sync += self.error.eq(Error.BUSY)
            with m.Elif(length == 0):
                m.d.sync += self.error.eq(Error.NO_IMAGE)
            with m.Else():
                m.d.sync += [left.eq(length), taken.eq(0), hidden.eq(0), self.error.eq(code)]
        return m

    @staticmethod
    def _fields(payload, widths: dict[str, int]) -> dict:
        """The fields of a payload, by name."""
        fields, at = {}, 0
        for name, width in widths.items():
            fields[name] = payload[at : at + width]
            at += width
        return fields
