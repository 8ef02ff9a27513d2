"""Exchange: does what a frame asks for."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.shell.deframe import BUFFER_BYTES, BYTE_BITS
from hw.shell.intake import bus_layout
from hw.shell.register_file import access_layout, outcome_layout
from hw.shell.uart_reply import reply_layout
from spec.frames import (
    ADDRESS_BYTES,
    ANSWER_BYTES,
    COUNT_BYTES,
    HEAD_BYTES,
    LAST_BYTES,
    MOST_WORDS,
    OUTCOME_BYTES,
    REQUEST_BYTES,
    WORD_BYTES,
    Kind,
    Outcome,
)

FIRST = HEAD_BYTES + LAST_BYTES
"""Where the words of a frame begin."""


class UartExchange(wiring.Component):
    """Does a frame at a time, as :mod:`spec.frames` states, with a byte of it in every cycle
    but one, in which it judges.

    It never waits for a stream of words, so that registers can always be reached.

    Parameters
    ----------
    depth : int
        Words in each of the two queues.

    Members
    -------
    whole, done, length, address, data
        Those of :class:`hw.shell.deframe.Deframe`.
    refused : Out
        The frame is of no kind that there is, or too long or too short for it.
    reply : stream of answers
    again : Out
        The last answer is wanted once more.
    access : stream of accesses to registers
    outcome : stream of what came of them
    o : stream of words to a queue
    taken, waiting : In
        Words in that queue, and in that of words that come back.
    """

    def __init__(self, depth: int):
        self.depth = depth
        super().__init__(
            {
                "whole": In(1),
                "done": Out(1),
                "length": In(range(BUFFER_BYTES)),
                "address": Out(range(BUFFER_BYTES)),
                "data": In(BYTE_BITS),
                "refused": Out(1),
                "reply": Out(stream.Signature(reply_layout())),
                "again": Out(1),
                "access": Out(stream.Signature(access_layout())),
                "outcome": In(stream.Signature(outcome_layout())),
                "o": Out(stream.Signature(bus_layout())),
                "taken": In(range(depth + 1)),
                "waiting": In(range(depth + 1)),
            }
        )
        self._room = Signal(range(depth + 1), name="room")
        self._most = Signal(range(MOST_WORDS + 1), name="most")

    def elaborate(self, platform):
        m = Module()

        # A cycle late. Only this unit makes either less, and it looks at them some cycles later.
        m.d.sync += [
            self._room.eq(self.depth - self.taken),
            self._most.eq(Mux(self.waiting < MOST_WORDS, self.waiting, MOST_WORDS)),
        ]

        number, kind = self.reply.payload.number, self.reply.payload.kind
        # The buffer is read a byte ahead: ``data`` is the one at ``at``.
        at, goes_on, ends = Signal(range(BUFFER_BYTES)), Signal(), Signal()
        m.d.comb += [self.address.eq(at + goes_on), ends.eq(at + 1 == self.length)]
        m.d.sync += at.eq(Mux(self.done, 0, self.address))

        given = Signal(max(REQUEST_BYTES.values()) * BYTE_BITS)
        m.d.sync += self.o.valid.eq(0)
        with m.FSM(name="place"):
            with m.State("IDLE"):
                m.d.sync += number.eq(self.data)
                with m.If(self.whole & self.reply.ready):
                    m.d.comb += goes_on.eq(1)
                    m.next = "KIND"
            with m.State("KIND"):
                m.d.comb += goes_on.eq(1)
                m.d.sync += kind.eq(self.data)
                m.next = "JUDGE"
            with m.State("JUDGE"):
                self._judge(m, number, kind)
            with m.State("GIVEN"):
                m.d.comb += goes_on.eq(1)
                m.d.sync += given.word_select((at - HEAD_BYTES)[:3], BYTE_BITS).eq(self.data)
                with m.If(kind == Kind.SEND):
                    self._look_for_room(m, ends)
                with m.Elif(ends):
                    m.next = "ACCESS"
                    with m.If(kind == Kind.RECEIVE):
                        m.next = "REPLY"
            with m.State("WORD"):
                m.d.comb += goes_on.eq(1)
                self._hand_on(m, at, ends, given)
            with m.State("ACCESS"):
                self._ask(m, kind, given)
            with m.State("OUTCOME"):
                self._hear(m)
            with m.State("REPLY"):
                self._reply(m, kind, given)
        return m

    def _leave(self, m: Module) -> None:
        """The frame is not needed any more."""
        m.d.comb += self.done.eq(1)
        m.next = "IDLE"

    def _judge(self, m: Module, number: Signal, kind: Signal) -> None:
        """Tell from its kind whether a frame is to be done, or answered again, or neither."""
        fits = Signal()
        answered, greeted, hello = Signal(BYTE_BITS), Signal(), Signal()
        m.d.comb += hello.eq(kind == Kind.HELLO)
        with m.Switch(kind):
            for one, size in REQUEST_BYTES.items():
                with m.Case(one):
                    if one == Kind.SEND:
                        m.d.comb += fits.eq(self.length % WORD_BYTES == FIRST % WORD_BYTES)
                    else:
                        m.d.comb += fits.eq(self.length == HEAD_BYTES + size)
        with m.If(greeted & ~hello & (number == answered)):
            m.d.comb += self.again.eq(1)
            self._leave(m)
        with m.Elif(fits & (greeted | hello)):
            m.d.sync += [greeted.eq(1), answered.eq(number)]
            m.next = "GIVEN"
            with m.If(hello):
                m.next = "REPLY"
        with m.Else():
            m.d.comb += self.refused.eq(~fits)
            self._leave(m)

    def _look_for_room(self, m: Module, ends: Signal) -> None:
        """Take all words of a frame, or none."""
        m.d.sync += self.reply.payload.payload.eq(self._room)
        m.next = "REPLY"
        with m.If(~ends & (self.length // WORD_BYTES <= self._room)):
            m.next = "WORD"

    def _hand_on(self, m: Module, at: Signal, ends: Signal, given: Signal) -> None:
        """Make words of bytes, in a register."""
        word = self.o.payload.word
        m.d.sync += [
            self.o.valid.eq(at % WORD_BYTES == (FIRST - 1) % WORD_BYTES),
            word.eq(Cat(word, self.data) >> BYTE_BITS),
            self.o.payload.last.eq(given[0] & ends),
        ]
        with m.If(ends):
            m.next = "REPLY"

    def _ask(self, m: Module, kind: Signal, given: Signal) -> None:
        """Do the access."""
        access, write = self.access.payload, kind == Kind.WRITE
        m.d.comb += [
            self.access.valid.eq(1),
            access.address.eq(given),
            access.write.eq(write),
            access.data.eq(given >> (ADDRESS_BYTES * BYTE_BITS)),
            access.strobe.eq(Mux(write, -1, 0)),
        ]
        with m.If(self.access.ready):
            m.next = "OUTCOME"

    def _hear(self, m: Module) -> None:
        """Take what came of it."""
        outcome = Signal(OUTCOME_BYTES * BYTE_BITS)
        m.d.comb += [
            self.outcome.ready.eq(1),
            outcome.eq(
                Mux(self.outcome.payload.failed, Outcome.FAILED, 0)
                | Mux(self.waiting != 0, Outcome.WAITING, 0)
            ),
        ]
        m.d.sync += self.reply.payload.payload.eq(Cat(outcome, self.outcome.payload.data))
        with m.If(self.outcome.valid):
            m.next = "REPLY"

    def _reply(self, m: Module, kind: Signal, given: Signal) -> None:
        """Say how long the answer is, and leave."""
        reply = self.reply.payload
        m.d.comb += self.reply.valid.eq(1)
        with m.Switch(kind):
            for one, size in ANSWER_BYTES.items():
                with m.Case(one):
                    m.d.comb += reply.size.eq(size)
        with m.If(kind == Kind.RECEIVE):
            wanted = given[: COUNT_BYTES * BYTE_BITS]
            m.d.comb += reply.words.eq(Mux(wanted < self._most, wanted, self._most))
        with m.If(self.reply.ready):
            self._leave(m)
