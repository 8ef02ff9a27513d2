"""Drain: requantizes the rows of a tile, and gives them to the result stream."""

from itertools import pairwise

from amaranth import Cat, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.emit import Placed
from hw.nm.payloads import (
    Done,
    ItemRead,
    parameters_layout,
    settings_layout,
    step_layout,
    sums_layout,
)
from hw.requantize import Requantize
from hw.stream_queue import StreamQueue
from hw.streams import steady
from spec.nm.config import NmConfig
from spec.nm.cycles import queue_places, requantize_cycles


class Drain(wiring.Component):
    """One requantizer per column; a row per cycle, each with parameters of its own.

    The result queue always has room: the sequencer sees to it. A reset forgets all rows.

    Attributes
    ----------
    latency : int
        Cycles from a tile on ``i`` to its first row on ``o``: for its parameters, requantizers, and
        the queue.

    Members
    -------
    settings : In
    i : stream of steps
        Those that end a tile count; they come every ``rows`` cycles at most.
    parameters : read port of the strip buffer
    sums : In
        Row r of the tile, r + 1 cycles behind ``i``.
    strip_done : the last row of a strip's last tile has entered
    o : stream of results
        A row: the results of all columns, sign-extended to their slots.
    given : Out
        A row is taken off ``o`` in this cycle.
    ended : Out
        It is the last of the run.
    """

    def __init__(self, config: NmConfig):
        self.config = config
        self.latency = 1 + requantize_cycles(config) + StreamQueue.latency
        super().__init__(
            {
                "settings": In(settings_layout(config)),
                "i": In(steady(step_layout(config))),
                "parameters": Out(ItemRead(config.rows, parameters_layout(config))),
                "sums": In(sums_layout(config)),
                "strip_done": Out(Done()),
                "o": Out(stream.Signature(config.lane_bits)),
                "given": Out(1),
                "ended": Out(1),
            }
        )
        self._step = Signal(step_layout(config), name="step")
        self._enters = Signal(name="enters")
        self._last_row = Signal(name="last_row")

    def elaborate(self, platform):
        m = Module()
        self._read_parameters(m)
        self._release(m)
        self._queue(m, self._requantize(m))
        return m

    def _read_parameters(self, m: Module) -> None:
        """Read them for row after row, each a cycle before the row is here."""
        rows, read = self.config.rows, self.parameters
        row = Signal(range(rows + 1))
        with m.If(self.i.valid & self.i.payload.last):
            m.d.comb += [read.enable.eq(1), read.bank.eq(self.i.payload.weight_bank)]
            m.d.sync += [self._step.eq(self.i.payload), row.eq(1)]
        with m.Else():
            m.d.comb += [
                read.enable.eq((row != 0) & (row != rows)),
                read.bank.eq(self._step.weight_bank),
                read.item.eq(row),
            ]
            with m.If(read.enable):
                m.d.sync += row.eq(row + 1)
        m.d.sync += [
            self._enters.eq(read.enable),
            self._last_row.eq(read.enable & (read.item == rows - 1)),
        ]

    def _release(self, m: Module) -> None:
        """Give the strip's bank back with the last row of its last tile."""
        m.d.comb += [
            self.strip_done.enable.eq(self._last_row & self._step.ends_strip),
            self.strip_done.bank.eq(self._step.weight_bank),
        ]

    def _requantize(self, m: Module) -> list:
        """Round all columns; multiplier and shift reach the stage that takes them with the row."""
        config, found = self.config, self.parameters.data
        multiplier = Signal.like(found.multiplier)
        shifts = [Signal.like(found.shift, name=f"shift{at}") for at in range(2)]
        m.d.sync += multiplier.eq(found.multiplier)
        m.d.sync += [late.eq(one) for one, late in pairwise([found.shift, *shifts])]
        results = []
        for column in range(config.columns):
            unit = Requantize(
                acc_bits=config.acc_bits,
                multiplier_bits=config.multiplier_bits,
                shift_bits=config.shift_bits,
                act_bits=config.act_bits,
                split=config.pipeline,
            )
            m.submodules[f"requantize{column}"] = unit = Placed(unit, "nm_requantize")
            m.d.comb += [
                unit.acc.eq(self.sums[column]),
                unit.bias.eq(found.bias),
                unit.multiplier.eq(multiplier),
                unit.shift.eq(shifts[-1]),
                unit.relu.eq(self.settings.relu),
            ]
            slot = Signal(config.act_slot_bits, name=f"result{column}")
            m.d.comb += slot.eq(unit.o)
            results.append(slot)
        return results

    def _queue(self, m: Module, results: list) -> None:
        """Keep rows until they are taken."""
        row = data.StructLayout({"word": self.config.lane_bits, "last": 1})
        m.submodules.queue = queue = StreamQueue(row, queue_places(self.config))
        valid = Signal(requantize_cycles(self.config))
        last = Signal.like(valid)
        m.d.sync += [
            valid.eq(Cat(self._enters, valid)),
            last.eq(Cat(self._last_row & self._step.ends_run, last)),
        ]
        m.d.comb += [
            queue.i.valid.eq(valid[-1]),
            queue.i.payload.word.eq(Cat(results)),
            queue.i.payload.last.eq(last[-1]),
            self.o.valid.eq(queue.o.valid),
            self.o.payload.eq(queue.o.payload.word),
            queue.o.ready.eq(self.o.ready),
            self.given.eq(self.o.valid & self.o.ready),
            self.ended.eq(self.given & queue.o.payload.last),
        ]
