"""Processing element: the chain of units from a broadcast column to a stored activation."""

from amaranth import Cat, Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.eie.accumulators import Accumulators
from hw.eie.act_queue import ActQueue
from hw.eie.act_store import ActStore
from hw.eie.ahead_queue import AheadQueue
from hw.eie.counters import Counters
from hw.eie.drain import Drain
from hw.eie.mac import Mac
from hw.eie.matrix_read import MatrixRead
from hw.eie.payloads import (
    DrainOrder,
    HostAccess,
    MemoryRead,
    Phase,
    column_layout,
    settings_layout,
)
from hw.eie.pointer_read import PointerRead
from hw.eie.row_accumulate import RowAccumulate
from hw.eie.weight_decode import WeightDecode
from spec.eie.config import EieConfig
from spec.eie.counters import PE_COUNTERS
from spec.eie.iomap import Memory


class ProcessingElement(wiring.Component):
    """Holds every N-th row of the matrix and works off the columns that are broadcast to all PEs.

    Attributes
    ----------
    latency : int
        Cycles from a column on ``broadcast`` to the first sum written, when nothing is in its way.

    Members
    -------
    broadcast : stream of columns, from the scan
    offered : In
        A column is waiting to be broadcast, whether or not all PEs have room.
    settings, phase, drain : from central control
    scan : reads of the source activations, for non-zero detection
    host : I/O mode
    idle : Out
        Nothing is waiting and nothing is in flight.
    row_error, pointer_error : Out
    """

    def __init__(self, config: EieConfig):
        self.config = config
        ahead = [AheadQueue] if config.ahead_depth else []
        chain = [ActQueue, PointerRead, *ahead, MatrixRead, RowAccumulate, Mac]
        self.latency = sum(unit.latency for unit in chain)
        super().__init__(
            {
                "broadcast": In(stream.Signature(column_layout(config))),
                "offered": In(1),
                "settings": In(settings_layout(config)),
                "phase": In(Phase(config)),
                "drain": In(DrainOrder(config)),
                "scan": In(MemoryRead(config.act_row_bits + 1, signed(config.act_bits))),
                "host": In(HostAccess(config)),
                "idle": Out(1),
                "row_error": Out(1),
                "pointer_error": Out(1),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        m.submodules.queue = queue = ActQueue(config)
        m.submodules.pointers = pointers = PointerRead(config)
        m.submodules.matrix = matrix = MatrixRead(config)
        m.submodules.decode = decode = WeightDecode(config)
        m.submodules.rows = rows = RowAccumulate(config)
        m.submodules.mac = mac = Mac(config)
        m.submodules.accumulators = accumulators = Accumulators(config)
        m.submodules.drain = drain = Drain(config)
        m.submodules.store = store = ActStore(config)
        m.submodules.counters = counters = Counters(config, PE_COUNTERS)

        # From column to entries.
        connect(m, flipped(self.broadcast), queue.i)
        connect(m, queue.o, pointers.i)
        if config.ahead_depth:
            m.submodules.ahead = ahead = AheadQueue(config)
            connect(m, pointers.o, ahead.i)
            connect(m, ahead.o, matrix.i)
        else:
            connect(m, pointers.o, matrix.i)

        # From entries to sums.
        connect(m, matrix.o, rows.i)
        connect(m, rows.o, mac.i)
        connect(m, mac.read, accumulators.mac_read)
        connect(m, mac.write, accumulators.mac_write)
        m.d.comb += [
            decode.enable.eq(matrix.o.valid),
            decode.code.eq(matrix.o.payload.entry.code),
            decode.codebook.eq(self.settings.codebook),
            mac.weight.eq(decode.weight),
            rows.rows.eq(self.settings.rows),
        ]

        # From sums to activations.
        connect(m, flipped(self.drain), drain.order)
        connect(m, drain.store, store.drain)
        connect(m, flipped(self.scan), store.scan)
        m.d.comb += [
            drain.settings.eq(self.settings),
            drain.acc.eq(accumulators.taken),
            accumulators.take.eq(self.drain.enable),
            accumulators.clear.eq(self.drain.clear),
            accumulators.take_row.eq(self.drain.row),
        ]

        self._tell(m, queue, pointers, matrix, rows, mac, counters)
        self._serve_host(
            m,
            store,
            counters,
            {
                Memory.CODEBOOK: decode.write,
                Memory.BIASES: drain.write,
                Memory.POINTERS: pointers.write,
                Memory.LINES: matrix.write,
                Memory.ACTIVATIONS: store.host_write,
            },
        )
        return m

    def _tell(self, m: Module, queue, pointers, matrix, rows, mac, counters) -> None:
        """Count what this PE does in every cycle, and say when it is idle or in error."""
        waiting = Signal()
        computing, scanning = self.phase.computing, self.phase.scanning
        work_behind_pointers = matrix.i.valid
        states = {
            "busy": matrix.busy & ~matrix.pad,
            "pads": matrix.pad,
            "empty": ~matrix.busy & ~work_behind_pointers & pointers.empty,
            "imbalance": computing & ~scanning & ~matrix.busy & ~waiting,
        }
        states["starved"] = computing & ~Cat(states.values()).any()
        states["blocking"] = self.offered & ~self.broadcast.ready
        connect(m, flipped(self.phase), counters.phase)
        m.d.comb += [
            waiting.eq(queue.o.valid | pointers.busy | work_behind_pointers),
            self.idle.eq(~(waiting | matrix.busy | matrix.o.valid | rows.o.valid | mac.busy)),
            self.row_error.eq(rows.error),
            self.pointer_error.eq(pointers.error),
            counters.events.eq(Cat(states[name] for name in PE_COUNTERS)),
        ]

    def _serve_host(self, m: Module, store: ActStore, counters: Counters, writes: dict) -> None:
        """Spread the host's writes over the memories, and answer its reads."""
        host = self.host
        for memory, port in writes.items():
            m.d.comb += [
                port.enable.eq(host.write_enable & (host.memory == memory)),
                port.address.eq(host.address),
                port.data.eq(host.data),
            ]
        acts_asked = Signal()
        counters_asked = Signal()
        m.d.comb += [
            store.host_read.enable.eq(host.read_enable & (host.memory == Memory.ACTIVATIONS)),
            store.host_read.address.eq(host.address),
            counters.read_enable.eq(host.read_enable & (host.memory == Memory.COUNTERS)),
            counters.read_address.eq(host.address),
        ]
        m.d.sync += [acts_asked.eq(store.host_read.enable), counters_asked.eq(counters.read_enable)]
        with m.If(acts_asked):
            m.d.comb += host.answer.eq(store.host_read.data.as_unsigned())
        with m.Elif(counters_asked):
            m.d.comb += host.answer.eq(counters.read_data)
