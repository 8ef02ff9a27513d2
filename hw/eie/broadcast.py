"""Broadcast: brings a sector's columns to its registered PEs, and knows when all of them have
room."""

from amaranth import Cat, Module, Shape, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.eie.payloads import column_layout
from hw.streams import steady
from spec.config import bits_for
from spec.eie.config import EieConfig
from spec.eie.queues import FROM_PES, TO_PES

UNSEEN = TO_PES + FROM_PES - 1
"""Most columns that are sent, and in no queue whose places are known here: one that is in the
register at a PE's port counts there."""

ROOM_PLACES = UNSEEN + 1
"""How many free places of a queue matter, at most."""


def unseen_shape() -> Shape:
    """Of the number of columns that no PE has told of."""
    return unsigned(bits_for(UNSEEN))


class Broadcast(wiring.Component):
    """A register on the way to all PEs of a sector, and one on the way back.

    A column may go if every queue had more places free, when it last was heard of, than columns
    have been sent since: so it never waits on its way.

    Members
    -------
    i : stream of columns, from the scan, which says itself when one goes
    goes : In
        The column on ``i`` is sent in this cycle.
    place : Out
        It may be.
    room : array, from each PE: bit n, more than n places are free
    o : stream of columns that never waits, to all PEs
    offered, unseen : Out
        To all PEs: a column was on ``i``, and how many had been sent that none had told of.
    in_flight : Out
        There are such.
    """

    def __init__(self, config: EieConfig):
        self.config = config
        column = column_layout(config)
        super().__init__(
            {
                "i": In(steady(column)),
                "goes": In(1),
                "place": Out(1),
                "room": In(ROOM_PLACES).array(config.sector_pes),
                "o": Out(steady(column)),
                "offered": Out(1),
                "unseen": Out(unseen_shape()),
                "in_flight": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        sent, room = Signal(UNSEEN), Signal(ROOM_PLACES)
        unseen = Signal(unseen_shape())

        # Know where there is room, and what has been sent since.
        m.d.sync += [
            room.eq(Cat(Cat(pe[at] for pe in self.room).all() for at in range(ROOM_PLACES))),
            sent.eq(Cat(self.goes, sent)),
        ]
        m.d.comb += [
            unseen.eq(sum(sent)),
            self.place.eq(room.bit_select(unseen, 1)),
            self.in_flight.eq(sent.any()),
        ]

        # Tell all PEs.
        m.d.sync += [
            self.o.valid.eq(self.goes),
            self.o.payload.eq(self.i.payload),
            self.offered.eq(self.i.valid),
            self.unseen.eq(unseen),
        ]
        return m
