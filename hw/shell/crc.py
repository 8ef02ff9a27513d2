"""The CRC of frames, a byte in a cycle."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spec.frames import CRC_BITS, CRC_POLYNOMIAL, CRC_START


class Crc(wiring.Component):
    """As :func:`spec.frames.crc`.

    Members
    -------
    clear : In
        Begin anew.
    enable, data : In
        A byte.
    value : Out
        Of the bytes before this cycle.
    """

    def __init__(self):
        super().__init__(
            {
                "clear": In(1),
                "enable": In(1),
                "data": In(8),
                "value": Out(CRC_BITS, init=CRC_START),
            }
        )

    def elaborate(self, platform):
        m = Module()
        value = self.value ^ (self.data << (CRC_BITS - 8))
        for bit in range(8):
            step = Signal(CRC_BITS, name=f"step{bit}")
            m.d.comb += step.eq((value << 1) ^ Mux(value[CRC_BITS - 1], CRC_POLYNOMIAL, 0))
            value = step
        with m.If(self.clear):
            m.d.sync += self.value.eq(CRC_START)
        with m.Elif(self.enable):
            m.d.sync += self.value.eq(value)
        return m
