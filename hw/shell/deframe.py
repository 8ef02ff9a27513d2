"""Deframe: finds frames in the bytes from a line, and keeps one that came whole."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.memory import Ram
from hw.shell.crc import Crc
from hw.streams import steady
from spec.frames import CRC_BYTES, END, ESC, ESC_END, ESC_ESC, HEAD_BYTES, MOST_BYTES

BUFFER_BYTES = 1 << (MOST_BYTES - 1).bit_length()
BYTE_BITS = 8


class Deframe(wiring.Component):
    """Takes a byte in every cycle. While a frame is kept, what comes is lost.

    Members
    -------
    i : stream of bytes, always taken
    broken : In
        The line lost a byte: the frame is none.
    whole : Out
        A frame is kept, until
    done : In
        it is not needed any more.
    dropped : Out
        A frame ends that came broken.
    length : Out
        Its bytes, without the CRC.
    address : In
    data : Out
        A byte of it, in the next cycle.
    """

    def __init__(self):
        super().__init__(
            {
                "i": In(steady(BYTE_BITS)),
                "broken": In(1),
                "whole": Out(1),
                "done": In(1),
                "dropped": Out(1),
                "length": Out(range(BUFFER_BYTES)),
                "address": In(range(BUFFER_BYTES)),
                "data": Out(BYTE_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = Ram(BYTE_BITS, BUFFER_BYTES)
        m.submodules.crc = crc = Crc()
        count = Signal(range(BUFFER_BYTES))
        escaped, spoiled = Signal(), Signal()
        byte, there, ends = self.i.payload, Signal(), Signal()
        # The CRC of all but the last two bytes is known two bytes late.
        late = [Signal(BYTE_BITS, name=f"late{at}") for at in range(CRC_BYTES)]

        m.d.comb += [
            there.eq(self.i.valid & ~self.whole),
            ends.eq(there & (byte == END)),
            buffer.read_enable.eq(1),
            buffer.read_address.eq(self.address),
            self.data.eq(buffer.read_data),
            buffer.write_address.eq(count),
            buffer.write_data.eq(byte),
        ]

        self._keep(m, buffer, crc, count, late, there, escaped, spoiled)
        self._end(m, crc, count, late, ends, escaped, spoiled)
        m.d.comb += crc.clear.eq(ends)
        return m

    def _keep(self, m: Module, buffer, crc, count, late, there, escaped, spoiled) -> None:
        """Keep a byte; what stands for another is that one."""
        byte = self.i.payload
        keeps = Signal()
        with m.If(there & (byte != END)):
            m.d.sync += escaped.eq(~escaped & (byte == ESC))
            with m.If(escaped):
                m.d.comb += keeps.eq(1)
                with m.If(byte == ESC_END):
                    m.d.comb += buffer.write_data.eq(END)
                with m.Elif(byte == ESC_ESC):
                    m.d.comb += buffer.write_data.eq(ESC)
                with m.Else():
                    m.d.sync += spoiled.eq(1)
            with m.Else():
                m.d.comb += keeps.eq(byte != ESC)
        with m.If(keeps):
            m.d.comb += buffer.write_enable.eq(1)
            m.d.sync += [late[0].eq(buffer.write_data), late[1].eq(late[0]), count.eq(count + 1)]
            with m.If(count == MOST_BYTES):
                m.d.sync += [spoiled.eq(1), count.eq(count)]
        m.d.comb += [
            crc.data.eq(late[1]),
            crc.enable.eq(keeps & (count >= CRC_BYTES)),
        ]
        with m.If(self.broken):
            m.d.sync += spoiled.eq(1)

    def _end(self, m: Module, crc, count, late, ends, escaped, spoiled) -> None:
        """The end: all is well, or all is forgotten."""
        good = Signal()
        m.d.comb += [
            good.eq(
                ~spoiled
                & ~escaped
                & (count >= HEAD_BYTES + CRC_BYTES)
                & (crc.value == (late[0] << BYTE_BITS | late[1]))
            ),
            self.dropped.eq(ends & ~good & (spoiled | escaped | (count != 0))),
        ]
        with m.If(ends):
            m.d.sync += [
                self.whole.eq(good),
                self.length.eq(count - CRC_BYTES),
                count.eq(0),
                escaped.eq(0),
                spoiled.eq(0),
            ]
        with m.If(self.whole):
            # What comes meanwhile is no whole frame.
            with m.If(self.i.valid):
                m.d.sync += spoiled.eq(self.i.payload != END)
            with m.If(self.done):
                m.d.sync += self.whole.eq(0)
