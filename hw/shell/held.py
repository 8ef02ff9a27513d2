"""An array that stands still while its run waits for the shell, so that its counters do not."""

from amaranth import Module, Mux, ResetInserter, Signal
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

GIVEN = {EIE: ["data"], NM: ["data", "o"]}
"""The streams that an array gives."""


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
        It does not stand still in this cycle.
    """

    def __init__(self, config: Config):
        self.config = config
        make, self._module = ARRAYS[config.engine]
        self._array = make(config)
        super().__init__(
            dict(self._array.signature.members)
            | {"feed": In(BITS), "restart": In(1), "moves": Out(1)}
        )

    def elaborate(self, platform):
        m = Module()
        engine = self.config.engine
        m.submodules.array = array = Placed(self._array, self._module, self.restart, self.moves)

        outside = {name: getattr(self, name) for name in array.signature.members}
        starves, chokes = Signal(), Signal()

        # Requests wait in front of it, a read until no write does: they are answered in order.
        for name in ("write", "read"):
            queue = StreamQueue(getattr(self, name).payload.shape(), QUEUE_DEPTH)
            m.submodules[name] = ResetInserter(self.restart)(queue)
            connect(m, flipped(getattr(self, name)), queue.i)
            outside[name] = queue.o
        waits = outside["write"].valid

        # Answers and results wait behind it, so that it knows early whether there is room.
        for name in GIVEN[engine]:
            queue = StreamQueue(getattr(self, name).payload.shape(), QUEUE_DEPTH)
            m.submodules[name] = ResetInserter(self.restart)(queue)
            connect(m, queue.o, flipped(getattr(self, name)))
            outside[name] = queue.i
        if engine == NM:
            m.d.comb += chokes.eq(~outside["o"].ready)

        # Its streams stand still with it.
        for name, member in array.signature.members.items():
            if member.is_port:
                continue
            inner, outer = getattr(array, name), outside[name]
            given, taken = (inner, outer) if member.flow == Out else (outer, inner)
            goes = self.moves & ~waits if name == "read" else self.moves
            m.d.comb += [
                taken.payload.eq(given.payload),
                taken.valid.eq(given.valid & goes),
                given.ready.eq(taken.ready & goes),
            ]
        m.d.comb += [
            array.start.eq(self.start),
            self.busy.eq(array.busy),
            self.error.eq(array.error),
        ]

        # How much of what was announced has not come.
        fed, left, hungry = outside[FED[engine]], Signal(BITS), Signal()
        with m.If(~self.busy | self.restart):
            m.d.sync += [
                left.eq(Mux(self.start, self.feed, 0)),
                hungry.eq(self.start & (self.feed != 0)),
            ]
        with m.Elif(fed.valid & fed.ready & hungry):
            m.d.sync += [left.eq(left - 1), hungry.eq(left != 1)]

        # It waits for nobody but the shell, and only in a run.
        m.d.comb += [
            starves.eq(hungry & ~fed.valid),
            self.moves.eq(~(self.busy & (starves | chokes))),
        ]
        return m
