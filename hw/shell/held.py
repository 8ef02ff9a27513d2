"""An array that stands still while its run waits for the shell, so that its counters do not."""

from amaranth import Const, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.eie.array import EieArray
from hw.emit import Placed
from hw.nm.engine import NmArray
from hw.stream_queue import StreamQueue
from spec.config import Config
from spec.registers.table import BITS, EIE, NM

ARRAYS = {EIE: (EieArray, "eie_array"), NM: (NmArray, "nm_array")}

QUEUE_DEPTH = 2

FED = {EIE: "write", NM: "i"}
"""The stream whose items a run takes, by engine."""

RESULTS = "o"
"""The stream that a run gives, of an N:M array."""


class Held(wiring.Component):
    """An array on which a slow link leaves no trace: it counts as if nothing had ever waited.

    In a run it stands still while an item that was announced has not come, and while what it gives
    is not taken.

    Parameters
    ----------
    config : EieConfig or NmConfig

    Members
    -------
    (all of the array's)
    feed : In
        Items that a run which starts now takes in all: requests to write of an EIE array, words of
        the load stream of an N:M array. The array does not wait for more than these.
    restart : In
        Resets the array, also while it stands still.
    moves : Out
        It does not stand still in this cycle, nor wait for a start.
    taken : Out
        Items that the last run took of those that it is fed.
    """

    def __init__(self, config: Config):
        self.config = config
        make, self._module = ARRAYS[config.engine]
        self._array = make(config)
        super().__init__(
            dict(self._array.signature.members)
            | {"feed": In(BITS), "restart": In(1), "moves": Out(1), "taken": Out(BITS)}
        )

    def elaborate(self, platform):
        m = Module()
        moves, pending = Signal(init=1), Signal()
        m.submodules.array = array = Placed(self._array, self._module, self.restart, moves)
        queues = self._add_queues(m)
        self._connect_streams(m, array, queues, moves)

        # A start that comes while it stands still waits.
        m.d.sync += pending.eq((self.start | pending) & ~moves & ~self.restart)
        m.d.comb += [
            array.start.eq(self.start | pending),
            self.busy.eq(array.busy | pending),
            self.error.eq(array.error),
            self.moves.eq(moves & (array.busy | ~pending)),
        ]

        # It waits for nobody but the shell, and only in a run. Whether it moves comes from a
        # register, for that goes to all its registers; so where a run ends it may stand still for
        # a cycle more.
        starves, chokes = self._follow_feed(m, queues), Signal()
        if RESULTS in queues:
            m.d.comb += chokes.eq(~queues[RESULTS].has_room)
        m.d.sync += moves.eq(~((self.busy | self.start) & (starves | chokes)))
        return m

    def _add_queues(self, m: Module) -> dict[str, StreamQueue]:
        """Requests, and what a run is fed, wait in front of the array, its results behind it: so it
        is known early whether there is an item, and room. Load words that a run leaves are gone
        with it."""
        queues = {}
        for name in ("write", "read", "i", RESULTS):
            if name in self.signature.members:
                shape = getattr(self, name).payload.shape()
                queues[name] = StreamQueue(shape, QUEUE_DEPTH)
                emptied = self.restart | ~self.busy if name == "i" else self.restart
                m.submodules[name] = ResetInserter(emptied)(queues[name])
        return queues

    def _connect_streams(
        self, m: Module, array: Placed, queues: dict[str, StreamQueue], moves: Signal
    ) -> None:
        """Its streams stand still with the array. Its inputs need no gate: while it stands still,
        nothing in it changes. A read waits until no write does: requests are answered in order.
        Answers come between runs, and need no queue; one that nobody has taken when a run begins
        may stand back while that stands still."""
        for name, member in array.signature.members.items():
            if member.is_port:
                continue
            inner, outer, gives = getattr(array, name), getattr(self, name), member.flow == Out
            if name in queues and gives:
                connect(m, queues[name].o, flipped(outer))
                outer = queues[name].i
            elif name in queues:
                connect(m, flipped(outer), queues[name].i)
                outer = queues[name].o
            due = ~queues["write"].o.valid if name == "read" else Const(1)
            if gives:
                m.d.comb += [
                    outer.payload.eq(inner.payload),
                    outer.valid.eq(inner.valid & moves),
                    inner.ready.eq(outer.ready),
                ]
            else:
                m.d.comb += [
                    inner.payload.eq(outer.payload),
                    inner.valid.eq(outer.valid & due),
                    outer.ready.eq(inner.ready & due & moves),
                ]

    def _follow_feed(self, m: Module, queues: dict[str, StreamQueue]) -> Signal:
        """How much of what was announced has not come; whether the next cycle lacks an item."""
        queue = queues[FED[self.config.engine]]
        left, hungry, next_hungry, starves = Signal(BITS), Signal(), Signal(), Signal()
        with m.If(~self.busy | self.restart):
            m.d.sync += left.eq(Mux(self.start, self.feed, 0))
            m.d.comb += next_hungry.eq(self.start & (self.feed != 0))
        with m.Elif(queue.o.valid & queue.o.ready & hungry):
            m.d.sync += left.eq(left - 1)
            m.d.comb += next_hungry.eq(left != 1)
        with m.Else():
            m.d.comb += next_hungry.eq(hungry)
        m.d.sync += hungry.eq(next_hungry)
        with m.If(self.start & ~self.busy):
            m.d.sync += self.taken.eq(0)
        with m.Elif(self.busy & queue.o.valid & queue.o.ready):
            m.d.sync += self.taken.eq(self.taken + 1)
        m.d.comb += starves.eq(next_hungry & ~queue.holds)
        return starves
