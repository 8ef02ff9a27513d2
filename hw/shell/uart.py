"""UART: bytes on a wire each way, eight bits, no parity, one stop bit."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from hw.streams import steady
from spec.errors import UserError

BYTE_BITS = 8
PHASE_BITS = 20
MOST_ERROR = 0.02
"""By which a bit may be too long or too short: a byte is sampled right up to about twice that."""

LEAST_CYCLES = 4
"""Of a bit, so that it is sampled near its middle."""


def phase_step(clock_hz: float, baud: float) -> int:
    """What is added to a phase in every cycle, so that it turns over once in a bit.

    Raises
    ------
    UserError
        The clock is too slow for that rate, or so fast that the step is too coarse.
    """
    if baud <= 0 or clock_hz < LEAST_CYCLES * baud:
        raise UserError(
            f"a UART of {baud:g} baud was asked for, with a clock of {clock_hz:g} Hz allowed are "
            f"up to {clock_hz / LEAST_CYCLES:g}"
        )
    step = round(baud / clock_hz * (1 << PHASE_BITS))
    if abs(step / (1 << PHASE_BITS) * clock_hz / baud - 1) > MOST_ERROR:
        raise UserError(f"a UART of {baud:g} baud is too slow for a clock of {clock_hz:g} Hz")
    return step


class UartReceiver(wiring.Component):
    """Samples each bit in its middle.

    Parameters
    ----------
    step : int
        :func:`phase_step`.

    Members
    -------
    line : In
        High when nothing is sent.
    o : stream of bytes, always taken
    broken : Out
        A byte without its stop bit was dropped in this cycle.
    """

    def __init__(self, step: int):
        self.step = step
        super().__init__({"line": In(1, init=1), "o": Out(steady(BYTE_BITS)), "broken": Out(1)})

    def elaborate(self, platform):
        m = Module()
        line = Signal(init=1)
        m.submodules.line = FFSynchronizer(self.line, line, init=1)
        phase, turns = Signal(PHASE_BITS), Signal()
        next_phase = Signal(PHASE_BITS + 1)
        bits, left = Signal(BYTE_BITS), Signal(range(BYTE_BITS + 2))
        m.d.comb += [next_phase.eq(phase + self.step), turns.eq(next_phase[-1])]
        m.d.sync += self.o.valid.eq(0)

        with m.If(left == 0):
            # The line falls: half a bit to the middle of the start bit.
            m.d.sync += phase.eq(1 << (PHASE_BITS - 1))
            with m.If(~line):
                m.d.sync += left.eq(BYTE_BITS + 2)
        with m.Else():
            m.d.sync += phase.eq(next_phase)
            with m.If(turns):
                m.d.sync += left.eq(left - 1)
                with m.If(left == BYTE_BITS + 2):
                    # A start bit that has gone again was noise.
                    m.d.sync += left.eq(Mux(line, 0, left - 1))
                with m.Elif(left == 1):
                    m.d.sync += [self.o.valid.eq(line), self.o.payload.eq(bits)]
                    m.d.comb += self.broken.eq(~line)
                with m.Else():
                    m.d.sync += bits.eq(Cat(bits[1:], line))
        return m


class UartTransmitter(wiring.Component):
    """Sends bytes, one behind the other.

    Parameters
    ----------
    step : int
        :func:`phase_step`.

    Members
    -------
    i : stream of bytes
    line : Out
    """

    def __init__(self, step: int):
        self.step = step
        super().__init__({"i": In(stream.Signature(BYTE_BITS)), "line": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        phase, turns = Signal(PHASE_BITS), Signal()
        next_phase = Signal(PHASE_BITS + 1)
        bits, left = Signal(BYTE_BITS + 1), Signal(range(BYTE_BITS + 3))
        m.d.comb += [
            next_phase.eq(phase + self.step),
            turns.eq(next_phase[-1]),
            self.i.ready.eq(left == 0),
        ]
        with m.If(left == 0):
            m.d.sync += [self.line.eq(1), phase.eq(0)]
            with m.If(self.i.valid):
                # The start bit goes out at once; then the byte, and the stop bit.
                m.d.sync += [
                    self.line.eq(0),
                    bits.eq(Cat(self.i.payload, Const(1, 1))),
                    left.eq(BYTE_BITS + 2),
                ]
        with m.Else():
            m.d.sync += phase.eq(next_phase)
            with m.If(turns):
                m.d.sync += [
                    self.line.eq(bits[0]),
                    bits.eq(Cat(bits[1:], Const(1, 1))),
                    left.eq(left - 1),
                ]
        return m
