"""An array that stands still while its run waits for the shell, so that its counters do not."""

from amaranth import Const, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.eie.array import EieArray
from hw.emit import Placed
from hw.nm.engine import NmArray
from hw.platform import Hold
from hw.stream_queue import StreamQueue
from spec.config import Config, bits_for
from spec.registers.table import BITS, EIE, NM

ARRAYS = {EIE: (EieArray, "eie_array"), NM: (NmArray, "nm_array")}

AHEAD = 2
"""Cycles from deciding that the array moves until it does: it and the modules right within it keep
that in registers of their own (:class:`hw.platform.Hold`)."""

QUEUE_DEPTH = 2

STEADY_DEPTH = AHEAD + 2
"""Of queues that are looked at ahead: with an item in every cycle nothing ever stands still."""

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
        # An array that is not double-buffered takes no request in a run.
        self._fed = config.engine == NM or bool(config.to_json()["double_buffer"])
        make, self._module = ARRAYS[config.engine]
        self._array = make(config)
        super().__init__(
            dict(self._array.signature.members)
            | {"feed": In(BITS), "restart": In(1), "moves": Out(1), "taken": Out(BITS)}
        )

    def elaborate(self, platform):
        m = Module()
        # What the array hears a cycle later, and what it has heard.
        hold = Hold(restart=Signal(init=1), moves=Signal())
        moves, away, pending, running = Signal(), Signal(), Signal(), Signal()
        m.submodules.array = array = Placed(self._array, self._module, hold)
        queues = self._add_queues(m, running)
        self._connect_streams(m, array, queues, moves)

        # Until it is reset, nothing that it says is heard, and it is told to be busy.
        restarted = Signal(init=1)
        m.d.sync += [hold.restart.eq(self.restart), restarted.eq(hold.restart)]
        m.d.comb += away.eq(hold.restart | restarted)

        # A start waits until it moves. In a run, where it is a mistake, it comes at once.
        mistaken = self.start & array.busy & moves
        waiting = (self.start & ~mistaken & ~away) | (pending & ~moves)
        m.d.sync += pending.eq(waiting & ~self.restart)
        m.d.comb += [
            array.start.eq(pending | mistaken),
            running.eq((array.busy & ~away) | pending),
            self.busy.eq(running | away),
            self.error.eq(Mux(away, 0, array.error)),
            self.moves.eq(moves & (array.busy | ~pending)),
        ]

        # It waits for nobody but the shell, and only in a run; in the cycle behind a start for what
        # the run is to be fed to be known. Where a run ends it may stand still a little longer.
        chokes = queues[RESULTS].level > STEADY_DEPTH - AHEAD - 1 if RESULTS in queues else 0
        waits = running & (self._follow_feed(m, queues, running) | chokes)
        m.d.sync += [
            hold.moves.eq(~(waits | self.start | self.restart)),
            moves.eq(hold.moves & ~self.restart),
        ]
        return m

    def _add_queues(self, m: Module, running: Signal) -> dict[str, StreamQueue]:
        """Requests, and what a run is fed, wait in front of the array, its results behind it: so it
        is known early whether there is an item, and room. Load words that a run leaves are gone
        with it."""
        queues = {}
        for name in ("write", "read", "i", RESULTS):
            if name in self.signature.members:
                shape = getattr(self, name).payload.shape()
                steady = name == RESULTS or (self._fed and name == FED[self.config.engine])
                queues[name] = StreamQueue(shape, STEADY_DEPTH if steady else QUEUE_DEPTH)
                emptied = self.restart | ~running if name == "i" else self.restart
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

    def _follow_feed(self, m: Module, queues: dict[str, StreamQueue], running: Signal) -> Value:
        """Count what was announced and has not come; whether the array may lack an item
        :data:`AHEAD` cycles from now, if it takes one in each cycle until then."""
        queue = queues[FED[self.config.engine]]
        takes = queue.o.valid & queue.o.ready
        left = Signal(BITS)
        with m.If(~running | self.restart):
            m.d.sync += left.eq(Mux(self.start, self.feed, 0))
        with m.Elif(takes & (left != 0)):
            m.d.sync += left.eq(left - 1)
        with m.If(self.start & ~running):
            m.d.sync += self.taken.eq(0)
        with m.Elif(running & takes):
            m.d.sync += self.taken.eq(self.taken + 1)
        if not self._fed:
            return Const(0)
        few, level = bits_for(AHEAD), queue.level
        return Mux(left[few:].any(), level <= AHEAD, level < left[:few])
