"""Reply: writes an answer into the buffer that it is sent from."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.shell.deframe import BUFFER_BYTES, BYTE_BITS
from hw.shell.intake import bus_layout
from spec.frames import HEAD_BYTES, MOST_WORDS, OUTCOME_BYTES, WORD_BYTES

PAYLOAD_BYTES = OUTCOME_BYTES + WORD_BYTES
"""The longest that there is, but those of words."""


def reply_layout() -> data.StructLayout:
    """An answer: so many bytes of the payload, and then so many words off the queue."""
    return data.StructLayout(
        {
            "number": BYTE_BITS,
            "kind": BYTE_BITS,
            "payload": PAYLOAD_BYTES * BYTE_BITS,
            "size": range(PAYLOAD_BYTES + 1),
            "words": range(MOST_WORDS + 1),
        }
    )


class UartReply(wiring.Component):
    """Takes an answer when the one before has been sent.

    Members
    -------
    i : stream of answers
    words : stream of words, of which as many must come as are asked for
    again : In
        Send the last answer once more; only when the next one would be taken.
    write_enable, write_address, write_data, length, start, busy
        Those of :class:`hw.shell.enframe.Enframe`.
    """

    def __init__(self):
        super().__init__(
            {
                "i": In(stream.Signature(reply_layout())),
                "words": In(stream.Signature(bus_layout())),
                "again": In(1),
                "write_enable": Out(1),
                "write_address": Out(range(BUFFER_BYTES)),
                "write_data": Out(BYTE_BITS),
                "length": Out(range(BUFFER_BYTES)),
                "start": Out(1),
                "busy": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        reply = self.i.payload
        given = Cat(reply.number, reply.kind, reply.payload)
        waits = Signal(len(given))
        left, words = Signal(range(HEAD_BYTES + PAYLOAD_BYTES + 1)), Signal(range(MOST_WORDS + 1))
        m.d.comb += [
            self.write_address.eq(self.length),
            self.write_data.eq(waits[:BYTE_BITS]),
        ]
        with m.FSM(name="place"):
            with m.State("IDLE"):
                m.d.comb += [self.i.ready.eq(~self.busy), self.start.eq(self.again)]
                with m.If(self.i.valid & self.i.ready):
                    m.d.sync += [
                        waits.eq(given),
                        left.eq(HEAD_BYTES + reply.size),
                        words.eq(reply.words),
                        self.length.eq(0),
                    ]
                    m.next = "BYTE"
            with m.State("BYTE"):
                m.d.comb += self.write_enable.eq(1)
                m.d.sync += [
                    waits.eq(waits >> BYTE_BITS),
                    left.eq(left - 1),
                    self.length.eq(self.length + 1),
                ]
                with m.If(left == 1):
                    m.next = "WORD"
            with m.State("WORD"):
                with m.If(words == 0):
                    m.d.comb += self.start.eq(1)
                    m.next = "IDLE"
                with m.Else():
                    m.d.comb += self.words.ready.eq(1)
                    with m.If(self.words.valid):
                        m.d.sync += [
                            waits.eq(self.words.payload.word),
                            left.eq(WORD_BYTES),
                            words.eq(words - 1),
                        ]
                        m.next = "BYTE"
        return m
