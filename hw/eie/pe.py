"""Processing element: the chain of units from a broadcast column to a stored activation."""

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.eie.act_queue import ActQueue
from hw.eie.ahead_queue import AheadQueue
from hw.eie.biases import Biases
from hw.eie.lane import Lane
from hw.eie.matrix_read import MatrixRead
from hw.eie.payloads import (
    DrainOrder,
    MemoryRead,
    Phase,
    column_layout,
    element_access,
    element_settings_layout,
    sums_layout,
    values_layout,
)
from hw.eie.pointer_read import PointerRead
from hw.eie.row_accumulate import RowAccumulate
from hw.eie.tallies import Tallies
from hw.eie.weight_decode import WeightDecode
from hw.emit import Placed
from spec.config import bits_for
from spec.eie.config import EieConfig
from spec.eie.counters import PE_COUNTERS
from spec.eie.iomap import Memory


def element_members(config: EieConfig) -> dict[str, wiring.Member]:
    """Members of a :class:`ProcessingElement`."""
    waits = {"offered": In(1)}
    if config.pe_registers:
        waits = {"blocked": In(1), "places": Out(bits_for(config.queue_places))}
    return {
        "broadcast": In(stream.Signature(column_layout(config))),
        **waits,
        "settings": In(element_settings_layout(config)),
        "phase": In(Phase(config)),
        "drain": In(DrainOrder(config)),
        "sums": Out(sums_layout(config)),
        "reduced": In(sums_layout(config)),
        "scan": In(MemoryRead(config.act_row_bits + 1, values_layout(config))),
        "host": In(element_access(config)),
        "idle": Out(1),
        "row_error": Out(1),
        "pointer_error": Out(1),
    }


def element_latency(config: EieConfig) -> int:
    """Cycles from a column on a PE's ``broadcast`` to the first sum written, when nothing is in its
    way."""
    ahead = [AheadQueue] if config.ahead_depth else []
    chain = [ActQueue, PointerRead, *ahead, MatrixRead, RowAccumulate, Lane]
    return sum(unit.latency for unit in chain)


class ProcessingElement(wiring.Component):
    """Holds a share of the matrix and works off the columns that are broadcast in its cluster.

    Attributes
    ----------
    latency : int
        :func:`element_latency`.

    Members
    -------
    broadcast : stream of columns, from the scan
    offered : In
        A column is waiting to be broadcast, whether or not all PEs have room.
    settings, phase, drain : from central control
    sums : Out
        Of the row that was ordered in the cycle before, in every lane.
    reduced : In
        Sums of that row over all clusters.
    blocked, places : In, Out
        With ``pe_registers`` in place of ``offered``: a column is not broadcast because this PE has
        no room; columns for which there is room.
    scan : reads of the source activations, for non-zero detection
    host : I/O mode
    idle : Out
        Nothing is waiting and nothing is in flight.
    row_error, pointer_error : Out
    """

    def __init__(self, config: EieConfig):
        self.config = config
        self.latency = element_latency(config)
        self._increments = {"gated": bits_for(config.lanes)}
        super().__init__(element_members(config))

    def elaborate(self, platform):
        config = self.config
        m = Module()
        m.submodules.queue = queue = ActQueue(config)
        m.submodules.pointers = pointers = PointerRead(config)
        m.submodules.matrix = matrix = MatrixRead(config)
        m.submodules.decode = decode = WeightDecode(config)
        m.submodules.rows = rows = RowAccumulate(config)
        m.submodules.biases = biases = Biases(config)
        lanes = [Placed(Lane(config), "eie_lane") for _ in range(config.lanes)]
        for number, lane in enumerate(lanes):
            m.submodules[f"lane{number}"] = lane
        m.submodules.counters = counters = Tallies(
            config, PE_COUNTERS, self._increments, bits=config.tally_bits
        )

        # From column to entries.
        connect(m, flipped(self.broadcast), queue.i)
        if config.pe_registers:
            m.d.comb += self.places.eq(config.queue_places - queue.count)
        connect(m, queue.o, pointers.i)
        m.d.comb += pointers.following.eq(queue.following)
        if config.ahead_depth:
            m.submodules.ahead = ahead = AheadQueue(config)
            connect(m, pointers.o, ahead.i)
            connect(m, ahead.o, matrix.i)
        else:
            connect(m, pointers.o, matrix.i)

        # From entries to updates.
        connect(m, matrix.o, rows.i)
        m.d.comb += [
            matrix.settings.eq(self.settings),
            decode.enable.eq(matrix.o.valid),
            decode.code.eq(matrix.o.payload.entry.code),
            decode.codebook.eq(self.settings.codebook),
            rows.rows.eq(self.settings.rows),
            biases.enable.eq(self.drain.bias_enable),
            biases.address.eq(self.drain.bias_address),
        ]

        for number, lane in enumerate(lanes):
            self._connect_lane(m, number, lane, decode, rows, biases)
        self._tell(m, queue, pointers, matrix, rows, lanes, counters)
        self._serve_host(
            m,
            lanes,
            counters,
            {
                Memory.CODEBOOK: decode.write,
                Memory.BIASES: biases.write,
                Memory.POINTERS: pointers.write,
                Memory.LINES: matrix.write,
            },
        )
        return m

    def _connect_lane(self, m: Module, number: int, lane, decode, rows, biases) -> None:
        """From updates to sums, and from sums to activations."""
        value = rows.o.payload.values[number]
        # The only lane's activation is never zero: its column would not have been broadcast.
        live = value != 0 if self.config.lanes > 1 else 1
        m.d.comb += [
            lane.i.valid.eq(rows.o.valid & live),
            lane.i.payload.row.eq(rows.o.payload.row),
            lane.i.payload.value.eq(value),
            lane.weight.eq(decode.weight),
            lane.settings.eq(self.settings),
            self.sums[number].eq(lane.sum),
            lane.reduced.eq(self.reduced[number]),
            lane.bias.eq(biases.bias),
            lane.scan.enable.eq(self.scan.enable),
            lane.scan.address.eq(self.scan.address),
            self.scan.data[number].eq(lane.scan.data),
        ]
        for name in self.drain.signature.members:
            m.d.comb += getattr(lane.order, name).eq(getattr(self.drain, name))

    def _tell(self, m: Module, queue, pointers, matrix, rows, lanes, counters) -> None:
        """Count what this PE did in the cycle before, and say when it is idle or in error."""
        waiting, late = Signal(), Signal.like(counters.events)
        computing, scanning = self.phase.computing, self.phase.scanning
        work_behind_pointers = matrix.i.valid
        states = {
            "empty": ~matrix.busy & ~work_behind_pointers & pointers.empty,
            "imbalance": computing & ~scanning & ~matrix.busy & ~waiting,
        }
        states["starved"] = computing & ~matrix.busy & ~Cat(states.values()).any()
        events = states | {
            "blocking": self._blocked(),
            "lines": matrix.reads,
            "gated": self._gated(matrix, rows),
        }
        # Whether an entry is a pad is known only when it is on its way.
        seen = {"busy": matrix.o.valid & ~matrix.pad, "pads": matrix.pad}
        connect(m, flipped(self.phase), counters.phase)
        m.d.sync += [late[name].eq(event) for name, event in events.items()]
        m.d.comb += [
            waiting.eq(queue.o.valid | pointers.busy | work_behind_pointers),
            self.idle.eq(
                ~(waiting | matrix.busy | matrix.o.valid | rows.o.valid)
                & ~Cat(lane.busy for lane in lanes).any()
            ),
        ]
        # Errors are known before the PE is idle; the end of a pass is noticed from a register, too.
        # (A registered PE keeps that it is idle for a cycle, its station an error.)
        told = m.d.sync if self.config.scan_pipeline else m.d.comb
        told += [self.row_error.eq(rows.error), self.pointer_error.eq(pointers.error)]
        m.d.comb += [counters.events[name].eq(seen.get(name, late[name])) for name in PE_COUNTERS]

    def _blocked(self) -> Value:
        """A column is not broadcast because this PE has no room."""
        if self.config.pe_registers:
            return self.blocked
        return self.offered & ~self.broadcast.ready

    def _gated(self, matrix, rows):
        """Lanes that stand still while the others make this cycle's update."""
        if self.config.lanes == 1:
            return Const(0)
        idle = [value == 0 for value in rows.o.payload.values]
        return Mux(rows.o.valid, sum(idle), 0)

    def _serve_host(self, m: Module, lanes, counters: Tallies, writes: dict) -> None:
        """Spread the host's writes over the memories, and answer its reads."""
        host, config = self.host, self.config
        for memory, port in writes.items():
            m.d.comb += [
                port.enable.eq(host.write_enable & (host.memory == memory)),
                port.address.eq(host.address),
                port.data.eq(host.data),
            ]
        lane_number = (host.address >> (config.act_row_bits + 1))[: config.lane_bits]
        answers = []
        for number, lane in enumerate(lanes):
            here = (host.memory == Memory.ACTIVATIONS) & (lane_number == number)
            asked = Signal(name=f"lane{number}_asked")
            m.d.comb += [
                lane.host_write.enable.eq(host.write_enable & here),
                lane.host_write.address.eq(host.address),
                lane.host_write.data.eq(host.data),
                lane.host_read.enable.eq(host.read_enable & here),
                lane.host_read.address.eq(host.address),
            ]
            m.d.sync += asked.eq(lane.host_read.enable)
            answers.append((asked, lane.host_read.data.as_unsigned()))

        counters_asked = Signal()
        m.d.comb += [
            counters.read_enable.eq(host.read_enable & (host.memory == Memory.COUNTERS)),
            counters.read_address.eq(host.address),
        ]
        m.d.sync += counters_asked.eq(counters.read_enable)
        answers.append((counters_asked, counters.read_data))
        for asked, answer in answers:
            with m.If(asked):
                m.d.comb += host.answer.eq(answer)
