"""Registered processing element: one with registers at its ports, for wires as long as a part."""

from collections.abc import Iterator

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.eie.broadcast import ROOM_PLACES, unseen_shape
from hw.eie.payloads import column_layout
from hw.eie.pe import ProcessingElement, element_latency, element_members
from hw.streams import steady
from spec.config import bits_for
from spec.eie.config import EieConfig
from spec.eie.queues import FROM_PES, TO_PES

BROADCAST = {"broadcast", "blocked", "places", "offered", "unseen", "room", "idle"}
"""Ports that have to do with columns, inside or outside."""

DIRECT = {"sums", "reduced", "row_error", "pointer_error"}
"""Ports that are registers in the element, or whose way has some elsewhere."""

COMPARE_CYCLES = FROM_PES - 1 + TO_PES
"""From what is told of the queue's places until it is heard how many columns the scan then knew to
be on their way: over the registers of its station and of the broadcast's decision, and back over
two."""


def registered_members(config: EieConfig) -> dict[str, wiring.Member]:
    """Members of a :class:`RegisteredElement`."""
    members = element_members(config)
    return {name: members[name] for name in members if name not in BROADCAST} | {
        "idle": Out(1),
        "broadcast": In(steady(column_layout(config))),
        "offered": In(1),
        "unseen": In(unseen_shape()),
        "room": Out(ROOM_PLACES),
    }


class RegisteredElement(wiring.Component):
    """A :class:`hw.eie.pe.ProcessingElement` that hears and tells everything a cycle later.

    The scan does not wait for ``ready``: it counts the columns that are on their way, and knows how
    many places were free before these (:class:`hw.eie.broadcast.Broadcast`).

    Attributes
    ----------
    latency : int
        As the element's, and one more.

    Members
    -------
    (those of the element, but for ``broadcast``, ``blocked`` and ``places``)
    broadcast : stream of columns that never waits
    offered, unseen : In
        The scan has a column, whether or not it may send it; how many it has sent that ``room``
        did not know of.
    room : Out
        Bit n: more than n places of the queue are free.
    """

    def __init__(self, config: EieConfig):
        self.config = config
        self.latency = element_latency(config) + 1
        super().__init__(registered_members(config))

    def elaborate(self, platform):
        m = Module()
        m.submodules.element = element = ProcessingElement(self.config)

        # Everything of the same name, in and out.
        for (flow, outer), (_, inner) in zip(_ports(self), _ports(element), strict=True):
            m.d.sync += inner.eq(outer) if flow == In else outer.eq(inner)
        m.d.comb += [
            self.sums.eq(element.sums),
            element.reduced.eq(self.reduced),
            self.row_error.eq(element.row_error),
            self.pointer_error.eq(element.pointer_error),
        ]

        # Columns. One that comes in is no longer room.
        comes = element.broadcast.valid
        m.d.sync += [
            comes.eq(self.broadcast.valid),
            element.broadcast.payload.eq(self.broadcast.payload),
            self.idle.eq(element.idle & ~comes),
        ]
        # More than can matter are as good as any number: so few bits are compared.
        low = bits_for(ROOM_PLACES)
        many, few = element.places[low:].any(), element.places[:low]
        free = (Mux(comes, few > at + 1, few > at) for at in range(ROOM_PLACES))
        m.d.sync += self.room.eq(Cat(many | one for one in free))

        # Say when a broadcast waits for this PE: there was no place for it, as the scan knew it.
        offered, unseen = Signal(), Signal(unseen_shape())
        told = self.room
        for _ in range(COMPARE_CYCLES):
            late = Signal.like(told, name="told")
            m.d.sync += late.eq(told)
            told = late
        m.d.sync += [offered.eq(self.offered), unseen.eq(self.unseen)]
        m.d.comb += element.blocked.eq(offered & ~told.bit_select(unseen, 1))
        return m


def _ports(component: wiring.Component) -> Iterator[tuple[wiring.Flow, Value]]:
    """Flow and signal of every port that has the same name inside and outside, and a register."""
    names = set(component.signature.members) - BROADCAST - DIRECT
    for name in sorted(names):
        members = wiring.Signature({name: component.signature.members[name]})
        for _, member, value in members.flatten(component):
            yield member.flow, Value.cast(value)


def processing_element(config: EieConfig) -> ProcessingElement | RegisteredElement:
    """The PE of a configuration."""
    return RegisteredElement(config) if config.pe_registers else ProcessingElement(config)
