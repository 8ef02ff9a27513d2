"""Sequencer: issues the steps of a run, or says what they wait for."""

from amaranth import Array, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.nm.payloads import Causes, Done, Loaded, settings_layout, step_layout
from hw.streams import steady
from spec.config import bits_for
from spec.nm.config import NmConfig
from spec.nm.cycles import queue_places
from spec.nm.descriptor import COUNT_BITS


class Sequencer(wiring.Component):
    """For every block, strip and tile: the tile's steps, one per cycle.

    A tile's first step waits for its strip and for its activations; its last one until the drain
    registers will be empty, and until the result queue has room for the tile besides what is
    promised to others. A part of a strip that others follow ends without all that: its sums stay. A
    reset begins a run.

    Members
    -------
    settings : In
    loaded : from the loader
    result : In
        The result queue gives a word in this cycle.
    o : stream of steps
    strip_used, block_used : the bank's last step is issued
    causes : what became of this cycle
    """

    def __init__(self, config: NmConfig):
        self.config = config
        super().__init__(
            {
                "settings": In(settings_layout(config)),
                "loaded": In(Loaded(config)),
                "result": In(1),
                "o": Out(steady(step_layout(config))),
                "strip_used": Out(Done()),
                "block_used": Out(Done()),
                "causes": Out(Causes()),
            }
        )
        self._last = Signal(name="last")
        self._final = Signal(name="final_part")
        self._ends_block = Signal(name="ends_block")
        # Counts from one, so that they are compared with totals as they are.
        self._tile = Signal(bits_for(config.act_lines), init=1, name="tile")
        self._part = Signal(bits_for(config.act_lines), init=1, name="part")
        self._finished = Signal(name="finished")

    def elaborate(self, platform):
        m = Module()
        self._decide(m)
        self._walk_tile(m)
        self._walk_run(m)
        step = self.o.payload
        m.d.comb += [
            step.last.eq(self._last & self._final),
            self.strip_used.enable.eq(self.o.valid & step.ends_strip),
            self.strip_used.bank.eq(step.weight_bank),
            self.block_used.enable.eq(self.o.valid & self._ends_block),
            self.block_used.bank.eq(step.act_bank),
        ]
        return m

    def _decide(self, m: Module) -> None:
        """Issue a step, or say why not; the first reason counts."""
        step, causes, loaded = self.o.payload, self.causes, self.loaded
        has_weights = Array(loaded.full)[step.weight_bank]
        has_acts = self._tile <= Array(loaded.tiles)[step.act_bank]
        held = step.last & self._hold_last(m)
        with m.If(self._finished):
            m.d.comb += causes.tail.eq(1)
        with m.Elif(~has_weights):
            m.d.comb += causes.weight_wait.eq(1)
        with m.Elif(~has_acts):
            m.d.comb += causes.act_wait.eq(1)
        with m.Elif(held):
            m.d.comb += causes.drain_wait.eq(1)
        with m.Else():
            m.d.comb += causes.busy.eq(1)
        m.d.comb += self.o.valid.eq(causes.busy)

    def _hold_last(self, m: Module):
        """Whether a tile's last step must wait: for the tile before, or for room."""
        rows, places = self.config.rows, queue_places(self.config)
        draining = Signal(range(rows))
        promised = Signal(range(places + 1))
        ends_tile = self.o.valid & self.o.payload.last
        m.d.sync += promised.eq(promised + Mux(ends_tile, rows, 0) - self.result)
        with m.If(ends_tile):
            m.d.sync += draining.eq(rows - 1)
        with m.Elif(draining != 0):
            m.d.sync += draining.eq(draining - 1)
        return (draining != 0) | (promised > places - rows)

    def _walk_tile(self, m: Module) -> None:
        """Go from step to step, by as many inputs as the mode takes."""
        config, step = self.config, self.o.payload
        in_line_bits = config.line_inputs.bit_length() - 1
        position = Signal(in_line_bits + config.offset_bits)
        inputs = Signal(range(config.line_inputs + 1))
        with m.Switch(self.settings.mode):
            for number, mode in enumerate(config.modes):
                with m.Case(number):
                    m.d.comb += inputs.eq(config.step_inputs(mode))
        m.d.comb += [
            step.first.eq((step.number == 0) & (self._part == 1)),
            step.at.eq(position[:in_line_bits]),
            step.line.eq(position[in_line_bits:]),
        ]
        last_step = Array(self.loaded.last_step)
        m.d.sync += self._last.eq(step.number == last_step[step.weight_bank])
        with m.If(self.o.valid):
            with m.If(self._last):
                bank = step.weight_bank ^ step.ends_strip
                m.d.sync += [step.number.eq(0), self._last.eq(last_step[bank] == 0)]
            with m.Else():
                m.d.sync += [
                    step.number.eq(step.number + 1),
                    self._last.eq(step.number + 1 == last_step[step.weight_bank]),
                ]
            # Offsets count from a part's first line; without them, parts go on where they are.
            with m.If(self._last & (self._final | self.settings.gather)):
                m.d.sync += position.eq(0)
            with m.Else():
                m.d.sync += position.eq(position + inputs)

    def _walk_run(self, m: Module) -> None:
        """Go from tile to tile, strip to strip, block to block."""
        settings, step = self.settings, self.o.payload
        strip = Signal(COUNT_BITS, init=1)
        block_begin = Signal(COUNT_BITS, init=1)
        tile_number = Signal(COUNT_BITS, init=1)
        last_tile, last_of_block, last_strip, last_part = (
            Signal(name=name) for name in ("last_tile", "last_of_block", "last_strip", "last_part")
        )
        m.d.comb += [
            step.ends_strip.eq(self._last & (last_tile | last_of_block)),
            self._final.eq(last_part | last_strip),
            self._ends_block.eq(step.ends_strip & last_strip),
            step.ends_run.eq(self._ends_block & last_tile),
        ]

        def count(*steps: tuple[Signal, Value, Signal, Value]) -> list:
            """Set counters, and the register that says whether a counter is at its limit."""
            sets = [counter.eq(value) for counter, value, _, _ in steps]
            return sets + [flag.eq(value == limit) for _, value, flag, limit in steps]

        # Nothing is issued: compare again. In a run's first cycle nothing has been compared yet,
        # but nothing is loaded either.
        tile_limits = (last_tile, settings.tiles)
        block_limits = (last_of_block, settings.block_tiles)
        strip_limits = (last_strip, settings.strips)
        part_limits = (last_part, settings.parts)
        m.d.sync += count(
            (tile_number, tile_number, *tile_limits),
            (self._tile, self._tile, *block_limits),
            (strip, strip, *strip_limits),
            (self._part, self._part, *part_limits),
        )

        # Go on.
        with m.If(self.o.valid & self._last):
            m.d.sync += count(
                (self._tile, self._tile + 1, *block_limits),
                (tile_number, tile_number + 1, *tile_limits),
            )
            m.d.sync += step.base.eq(step.base + settings.input_lines)
        with m.If(self.o.valid & step.ends_strip):
            m.d.sync += count(
                (self._tile, Const(1), *block_limits),
                (tile_number, block_begin, *tile_limits),
                (strip, strip + 1, *strip_limits),
            )
            with m.If(self._final):
                m.d.sync += count((self._part, Const(1), *part_limits))
            with m.Else():
                m.d.sync += count((self._part, self._part + 1, *part_limits))
            m.d.sync += [step.base.eq(0), step.weight_bank.eq(~step.weight_bank)]
        with m.If(self.o.valid & self._ends_block):
            m.d.sync += count(
                (tile_number, tile_number + 1, *tile_limits), (strip, Const(1), *strip_limits)
            )
            m.d.sync += [block_begin.eq(tile_number + 1), step.act_bank.eq(~step.act_bank)]
        with m.If(self.o.valid & step.ends_run):
            m.d.sync += self._finished.eq(1)
