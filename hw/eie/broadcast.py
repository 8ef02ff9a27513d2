"""Broadcast: sends a sector's columns to its registered PEs, and knows when all of them have
room."""

from amaranth import Cat, Module, Mux, Shape, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from spec.config import bits_for
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
    """Follows columns on their way to the PEs of a sector, over stations, and places on their way
    back.

    A column may go if every queue had more places free, when it last was heard of, than columns
    have been sent since: so it never waits on its way. Whether the next one may go is known a cycle
    before, in a register.

    Members
    -------
    goes : In
        A column is sent in this cycle.
    place : Out
        It may be.
    room : array, from each station: bit n, more than n places are free in each of its PEs
    unseen : Out
        How many columns have been sent that no PE has told of.
    in_flight : Out
        There are such.
    """

    def __init__(self, stations: int):
        self.stations = stations
        super().__init__(
            {
                "goes": In(1),
                "place": Out(1),
                "room": In(ROOM_PLACES).array(stations),
                "unseen": Out(unseen_shape()),
                "in_flight": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        sent, room = Signal(UNSEEN), Signal(ROOM_PLACES)
        # Of those that will be in the next cycle, but for one that is sent in this.
        still = Signal.like(self.unseen)
        m.d.comb += [
            room.eq(Cat(Cat(one[at] for one in self.room).all() for at in range(ROOM_PLACES))),
            still.eq(sum(sent[:-1])),
            self.in_flight.eq(sent.any()),
        ]
        m.d.sync += [
            sent.eq(Cat(self.goes, sent)),
            self.unseen.eq(still + self.goes),
            self.place.eq(Mux(self.goes, room[1:], room[:-1]).bit_select(still, 1)),
        ]
        return m
