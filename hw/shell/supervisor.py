"""Supervisor: starts and resets arrays, counts how long they run, keeps the first error."""

from collections.abc import Sequence

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.shell.register_file import pulsed, shown, words_layout
from spec.config import Config
from spec.messages import number
from spec.registers.table import BITS, ERROR_BITS, Register, ShellError, Source, registers

CYCLE_BITS = 2 * BITS


class Supervisor(wiring.Component):
    """Does what is written to ``CONTROL``, and tells how it stands.

    Members
    -------
    pulsed : In
        Words that are written to registers which do something.
    shown : Out
        What registers show.
    start, first : Out
        Of each engine, by number; whether that begins a run.
    restart : Out
        Of everything but the registers.
    busy, moves, errors : In
        Of each engine; a cycle in which it does not move does not count.
    own_error : In
        Of the shell, in the cycle in which it happens.
    taken, dropped, receiving, sending : In
        What others have to show.
    """

    def __init__(self, configs: Sequence[Config]):
        self.table = registers(configs)
        self.numbers = sorted(number(config.engine) for config in configs)
        count = max(self.numbers) + 1
        super().__init__(
            {
                "pulsed": In(words_layout(pulsed(self.table))),
                "shown": Out(words_layout(shown(self.table))),
                "start": Out(count),
                "first": Out(count),
                "restart": Out(1),
                "busy": In(count),
                "moves": In(count),
                "errors": In(ERROR_BITS).array(count),
                "own_error": In(ERROR_BITS),
                "taken": In(BITS),
                "dropped": In(BITS),
                "receiving": In(1),
                "sending": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        control = _fields(self.table, "CONTROL")
        word = self.pulsed.CONTROL
        starts = [word[control[f"START_{name}"]] for name in ("EIE", "NM")]
        clear = word[control["CLEAR"]]
        count = len(self.start)

        # Start and reset.
        begins = Signal(count)
        there = sum(1 << number for number in self.numbers)
        m.d.comb += [
            self.start.eq(Mux(self.restart, 0, Cat(starts[:count]) & there)),
            begins.eq(self.start & ~self.busy),
            self.first.eq(begins),
            self.restart.eq(word[control["RESET"]]),
        ]

        # Count the cycles of a run.
        cycles = Signal(CYCLE_BITS)
        m.d.sync += cycles.eq(Mux(begins.any(), 0, cycles + (self.busy & self.moves).any()))

        # Keep the shell's first error; an array keeps its own.
        error = Signal(ERROR_BITS)
        with m.If(self.restart | clear):
            m.d.sync += error.eq(ShellError.NONE)
        with m.Elif(error == ShellError.NONE):
            m.d.sync += error.eq(self.own_error)

        # Tell.
        code, source = Signal(ERROR_BITS), Signal(ERROR_BITS)
        m.d.comb += [code.eq(error), source.eq(Mux(error == 0, Source.NONE, Source.SHELL))]
        for engine in reversed(self.numbers):
            with m.If((error == ShellError.NONE) & (self.errors[engine] != 0)):
                m.d.comb += [
                    code.eq(self.errors[engine]),
                    source.eq((Source.EIE, Source.NM)[engine]),
                ]
        status, errors = _fields(self.table, "STATUS"), _fields(self.table, "ERROR")
        told = {
            "BUSY_EIE": self.busy[0],
            "BUSY_NM": self.busy[1] if count > 1 else 0,
            "RECEIVING": self.receiving,
            "SENDING": self.sending,
            "ERROR": code != 0,
        }
        shown_words = self.shown
        m.d.comb += [
            *(shown_words.STATUS[place].eq(told[name]) for name, place in status.items()),
            shown_words.ERROR[errors["CODE"]].eq(code),
            shown_words.ERROR[errors["SOURCE"]].eq(source),
            shown_words.CYCLES_LOW.eq(cycles),
            shown_words.CYCLES_HIGH.eq(cycles >> BITS),
            shown_words.TAKEN.eq(self.taken),
            shown_words.DROPPED.eq(self.dropped),
        ]
        return m


def _fields(table: Sequence[Register], name: str) -> dict[str, slice]:
    """Where the fields of a register stand."""
    (register,) = (one for one in table if one.name == name)
    return {bits.name: slice(bits.low, bits.low + bits.width) for bits in register.fields}
