"""Station: half-way between what all PEs share and a few of them."""

from functools import reduce as fold
from operator import or_

from amaranth import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.eie.broadcast import ROOM_PLACES
from hw.eie.registered_pe import registered_members
from spec.eie.config import EieConfig

MOST_PES = 4
"""Few, so that they can be close to each other and to their station."""

NOT_TOLD = {"host", "reduced"}
"""What each PE hears alone, or over other registers."""


def station_pes(config: EieConfig) -> int:
    """PEs of a station: as many as divide a sector evenly, up to :data:`MOST_PES`; so a sector of
    eleven, say, has eleven stations."""
    counts = range(1, MOST_PES + 1)
    return max(count for count in counts if config.sector_pes % count == 0)


def told_members(config: EieConfig) -> dict[str, wiring.Member]:
    """What all PEs of a sector hear, by the path of a PE's port, joined by two underscores; and the
    host's word."""
    access = wiring.Signature(registered_members(config)).members
    told = {
        "__".join(map(str, path)): Out(member.shape)
        for path, member in access.flatten()
        if member.is_port and member.flow == In and path[0] not in NOT_TOLD
    }
    for name in ("memory", "address", "data"):
        told[f"host__{name}"] = Out(access["host"].signature.members[name].shape)
    return told


class Station(wiring.Component):
    """Registers for a few PEs, so that none goes from one place to all of an array.

    Members
    -------
    i, o : what these PEs hear, from all that they share, and a cycle later
    host, host_o : array, for each PE
        Whether the host writes to it (lower bit) or reads; Out, a cycle later.
    answers, answer : array, from each PE; Out
        To the host. All but that of the PE that was asked are zero; a cycle later.
    room : array, from each PE: bit n, more than n places are free
    common : Out
        Bit n: more than n places are free in each of them; a cycle later.
    row_errors, pointer_errors : In
        Of each PE.
    row_error, pointer_error : Out
        In any of them, a cycle later.
    """

    def __init__(self, config: EieConfig):
        self.config = config
        self.pes = station_pes(config)
        told = wiring.Signature(told_members(config))
        super().__init__(
            {
                "i": In(told),
                "o": Out(told),
                "host": In(2).array(self.pes),
                "host_o": Out(2).array(self.pes),
                "answers": In(config.element_answer_bits).array(self.pes),
                "answer": Out(config.element_answer_bits),
                "room": In(ROOM_PLACES).array(self.pes),
                "common": Out(ROOM_PLACES),
                "row_errors": In(self.pes),
                "pointer_errors": In(self.pes),
                "row_error": Out(1),
                "pointer_error": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        for name in self.i.signature.members:
            m.d.sync += getattr(self.o, name).eq(getattr(self.i, name))
        m.d.sync += [
            *(there.eq(here) for there, here in zip(self.host_o, self.host, strict=True)),
            self.answer.eq(fold(or_, self.answers)),
            self.row_error.eq(self.row_errors.any()),
            self.pointer_error.eq(self.pointer_errors.any()),
            self.common.eq(Cat(Cat(pe[at] for pe in self.room).all() for at in range(ROOM_PLACES))),
        ]
        return m
