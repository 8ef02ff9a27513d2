"""Enframe: sends a frame out of its buffer, as often as it is asked to."""

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.memory import Ram
from hw.shell.crc import Crc
from hw.shell.deframe import BUFFER_BYTES, BYTE_BITS
from spec.frames import END, ESC, ESC_END, ESC_ESC


class Enframe(wiring.Component):
    """Gives a byte in every third cycle, which is faster than any line.

    Members
    -------
    write_enable, write_address, write_data : In
        The frame's bytes, without the CRC.
    length : In
        How many there are.
    start : In
        Send them.
    busy : Out
        They are being sent.
    o : stream of bytes
    """

    def __init__(self):
        super().__init__(
            {
                "write_enable": In(1),
                "write_address": In(range(BUFFER_BYTES)),
                "write_data": In(BYTE_BITS),
                "length": In(range(BUFFER_BYTES)),
                "start": In(1),
                "busy": Out(1),
                "o": Out(stream.Signature(BYTE_BITS)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.buffer = buffer = Ram(BYTE_BITS, BUFFER_BYTES)
        m.submodules.crc = crc = Crc()
        at, escaped = Signal(range(BUFFER_BYTES + 2)), Signal()
        byte, special = Signal(BYTE_BITS), Signal()
        sent = Signal()
        m.d.comb += [
            buffer.write_enable.eq(self.write_enable),
            buffer.write_address.eq(self.write_address),
            buffer.write_data.eq(self.write_data),
            buffer.read_enable.eq(1),
            buffer.read_address.eq(at),
            crc.data.eq(byte),
            special.eq((byte == END) | (byte == ESC)),
            sent.eq(self.o.valid & self.o.ready),
        ]

        with m.FSM(name="place") as place:
            m.d.comb += self.busy.eq(~place.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.sync += at.eq(0)
                m.d.comb += crc.clear.eq(1)
                with m.If(self.start):
                    m.next = "BEGIN"
            with m.State("BEGIN"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(END)]
                with m.If(sent):
                    m.next = "FETCH"
            with m.State("FETCH"):
                # The buffer answers in the next cycle; behind it comes the CRC.
                m.d.sync += escaped.eq(0)
                m.next = "LOOK"
            with m.State("LOOK"):
                with m.If(at < self.length):
                    m.d.sync += byte.eq(buffer.read_data)
                with m.Elif(at == self.length):
                    m.d.sync += byte.eq(crc.value[:BYTE_BITS])
                with m.Else():
                    m.d.sync += byte.eq(crc.value[BYTE_BITS:])
                m.next = "BYTE"
            with m.State("BYTE"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(special & ~escaped):
                    m.d.comb += self.o.payload.eq(ESC)
                with m.Elif(special):
                    m.d.comb += self.o.payload.eq(Mux(byte == END, ESC_END, ESC_ESC))
                with m.Else():
                    m.d.comb += self.o.payload.eq(byte)
                with m.If(sent):
                    m.d.sync += escaped.eq(1)
                    with m.If(~special | escaped):
                        m.d.comb += crc.enable.eq(at < self.length)
                        m.d.sync += at.eq(at + 1)
                        m.next = "FETCH"
                        with m.If(at == self.length + 1):
                            m.next = "END"
            with m.State("END"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(END)]
                with m.If(sent):
                    m.next = "IDLE"
        return m
