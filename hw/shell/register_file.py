"""Register file: answers accesses to the registers, one after the other."""

from collections.abc import Sequence

from amaranth import Const, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from spec.config import Config
from spec.messages import number
from spec.registers.table import (
    ADDRESS_BITS,
    BITS,
    BYTES,
    ERROR_BITS,
    Access,
    Register,
    ShellError,
    registers,
)

INDEX_BITS = 8


def access_layout() -> data.StructLayout:
    """An access: the strobe has a bit for each byte that is written."""
    return data.StructLayout({"address": ADDRESS_BITS, "write": 1, "data": BITS, "strobe": BYTES})


def outcome_layout() -> data.StructLayout:
    """What came of an access; the data of one that failed are zero."""
    return data.StructLayout({"data": BITS, "failed": 1})


def probe_layout() -> data.StructLayout:
    """A counter that is to be fetched: :class:`spec.registers.table.Counter`."""
    return data.StructLayout({"engine": 1, "in_pe": 1, "index": INDEX_BITS})


def shown(table: Sequence[Register]) -> list[Register]:
    """Registers that show what the shell tells."""
    return [
        one
        for one in table
        if one.access is Access.READ and not one.constant and one.counter is None
    ]


def kept(table: Sequence[Register]) -> list[Register]:
    """Registers that keep what is written."""
    return [one for one in table if one.access is Access.READ_WRITE]


def pulsed(table: Sequence[Register]) -> list[Register]:
    """Registers whose ones do something when they are written."""
    return [one for one in table if one.access is Access.WRITE]


def words_layout(table: Sequence[Register]) -> data.StructLayout:
    """A word for each register, under its name."""
    return data.StructLayout({one.name: BITS for one in table})


class RegisterFile(wiring.Component):
    """Does an access in every cycle, but for the one behind a write that starts or resets
    something; one that shows a counter, when the counter has come.

    An access that fails changes nothing.

    Parameters
    ----------
    configs : sequence of EieConfig and NmConfig
        Of the engines that are there.

    Members
    -------
    i : stream of accesses
    o : stream of what came of them, in order
    shown : In
        What registers show.
    kept : Out
        What was written last.
    pulsed : Out
        A word in the cycle after it was written, zero in all others; the next access waits until
        then.
    probe : Out
        Which counter is wanted.
    probing : Out
        It is, until
    probed : In
        in the same cycle
    counter : In
        is it, or
    refused : In
        it cannot be had now.
    error : Out
        :class:`spec.registers.table.ShellError` in the cycle of an access that fails.
    """

    def __init__(self, configs: Sequence[Config]):
        self.table = registers(configs)
        super().__init__(
            {
                "i": In(stream.Signature(access_layout())),
                "o": Out(stream.Signature(outcome_layout())),
                "shown": In(words_layout(shown(self.table))),
                "kept": Out(words_layout(kept(self.table))),
                "pulsed": Out(words_layout(pulsed(self.table))),
                "probe": Out(probe_layout()),
                "probing": Out(1),
                "probed": In(1),
                "counter": In(2 * BITS),
                "refused": In(1),
                "error": Out(ERROR_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        access = self.i.payload
        done, answer = Signal(), Signal(BITS)
        pulses = Signal.like(self.pulsed)
        m.d.sync += self.pulsed.eq(pulses)

        # An access waits until the outcome of the one before is taken, and it has done its work.
        free = (~self.o.valid | self.o.ready) & ~self.pulsed.as_value().any()
        m.d.comb += self.i.ready.eq(free & done)
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [
                self.o.valid.eq(1),
                self.o.payload.data.eq(answer),
                self.o.payload.failed.eq(self.error != ShellError.NONE),
            ]

        # What it is for.
        with m.If(self.i.valid & free):
            m.d.comb += [done.eq(1), self.error.eq(ShellError.ADDRESS)]
            with m.Switch(access.address[BYTES.bit_length() - 1 :]):
                for one in self.table:
                    with m.Case(one.address // BYTES):
                        self._do(m, one, answer, done, pulses)
        return m

    def _do(
        self, m: Module, one: Register, answer: Signal, done: Signal, pulses: data.View
    ) -> None:
        """The access is to this register."""
        access = self.i.payload
        with m.If(access.write):
            if one.access is Access.READ:
                m.d.comb += self.error.eq(ShellError.ACCESS)
            else:
                with m.If(access.strobe.all()):
                    m.d.comb += self.error.eq(ShellError.NONE)
                    self._write(m, one, pulses)
                with m.Else():
                    m.d.comb += self.error.eq(ShellError.STROBE)
        with m.Else():
            if one.access is Access.WRITE:
                m.d.comb += self.error.eq(ShellError.ACCESS)
            else:
                m.d.comb += self.error.eq(ShellError.NONE)
                self._read(m, one, answer, done)

    def _write(self, m: Module, one: Register, pulses: data.View) -> None:
        word = self.i.payload.data
        if one.access is Access.WRITE:
            m.d.comb += pulses[one.name].eq(word)
        else:
            m.d.sync += self.kept[one.name].eq(word)

    def _read(self, m: Module, one: Register, answer: Signal, done: Signal) -> None:
        if one.counter is not None:
            self._fetch(m, one, answer, done)
        elif one.constant:
            m.d.comb += answer.eq(Const(one.value, BITS))
        else:
            words = self.kept if one.access is Access.READ_WRITE else self.shown
            m.d.comb += answer.eq(words[one.name])

    def _fetch(self, m: Module, one: Register, answer: Signal, done: Signal) -> None:
        """Ask for a counter, from a register, and wait."""
        counter = one.counter
        assert counter is not None
        m.d.sync += [
            self.probing.eq(~done),
            self.probe.engine.eq(number(counter.engine)),
            self.probe.in_pe.eq(counter.in_pe),
            self.probe.index.eq(counter.index),
        ]
        m.d.comb += [
            answer.eq(self.counter.word_select(int(counter.high), BITS)),
            done.eq(self.probing & (self.probed | self.refused)),
        ]
        with m.If(self.probing & self.refused):
            m.d.comb += [answer.eq(0), self.error.eq(ShellError.BUSY)]
