"""Loader: brings every word of the load stream to its place, in the order of
:func:`spec.nm.stream.schedule`."""

from collections.abc import Iterator
from contextlib import contextmanager

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.nm.payloads import Done, LineWrite, Loaded, StripWrite, index_bits, settings_layout
from hw.nm.strip_lengths import StripLengths
from spec.config import IO_DATA_BITS, bits_for
from spec.nm.config import BANKS, HEADER_BITS, NmConfig
from spec.nm.descriptor import COUNT_BITS
from spec.nm.words import words_for


class Loader(wiring.Component):
    """Takes a word in every cycle; only a strip's header may wait, for a free bank.

    States: ``header``, ``parameters``, ``values``, ``places`` (plane by plane) and ``offsets`` of a
    strip, then ``lines``: what this block still misses behind its first strip, some of the next
    block behind the others; ``rest`` when all is loaded. A reset begins a run.

    Members
    -------
    settings : In
    i : the load stream
    strip, line : words for the buffers
    loaded : what the sequencer may use, from the cycle behind its last word on
    strip_used, block_used : the sequencer issues the last step of a bank
    strip_done : the bank's last row has left the accumulators: it may be loaded
    part_done : the bank's weights have been read, and nothing else is wanted of it
    took : Out
        A word is taken in this cycle.
    error : Out
        It is the header of a strip that fits no bank.
    """

    def __init__(self, config: NmConfig):
        self.config = config
        super().__init__(
            {
                "settings": In(settings_layout(config)),
                "i": In(stream.Signature(config.load_bits)),
                "strip": Out(StripWrite(config)),
                "line": Out(LineWrite(config)),
                "loaded": Out(Loaded(config)),
                "strip_used": In(Done()),
                "block_used": In(Done()),
                "strip_done": In(Done()),
                "part_done": In(Done()),
                "took": Out(1),
                "error": Out(1),
            }
        )
        self._header = Signal(name="takes_header")
        self._steps = Signal(range(config.weight_steps + 1), name="steps")
        self._index = Signal(index_bits(config), name="index")
        self._plane = Signal(range(max(2, config.place_bits)), name="plane")
        self._bank = Signal(name="weight_bank")
        # Counts from one, so that they are compared with totals as they are.
        self._strip = Signal(COUNT_BITS, init=1, name="strip_number")
        self._behind = Signal(bits_for(config.act_lines), init=1, name="lines_behind")
        self._ahead = Signal(2, name="blocks_ahead")
        self._all_tiles = Signal(name="all_tiles")
        self._strip_ends = Signal(name="strip_ends")
        self._line_ends = Signal(name="line_ends")
        self._tile_ends = Signal(name="tile_ends")
        self._block_ends = Signal(name="block_ends")
        self._tiles_end = Signal(name="tiles_end")
        self._next_block = Signal(name="next_block")

    def elaborate(self, platform):
        m = Module()
        self._walk(m)
        self._place_lines(m)
        self._tell(m)
        m.d.comb += [
            self.took.eq(self.i.valid & self.i.ready),
            self.strip.bank.eq(self._bank),
            self.strip.data.eq(self.i.payload),
            self.line.data.eq(self.i.payload),
        ]
        return m

    def _walk(self, m: Module) -> None:
        """The states: sections of a strip, and lines."""
        config = self.config
        m.submodules.lengths = lengths = StripLengths(config)
        free = self._is_free(m)
        parameters = words_for(config.rows, IO_DATA_BITS, config.load_bits)
        m.d.comb += [
            lengths.settings.eq(self.settings),
            lengths.steps.eq(self._steps),
            self.strip.index.eq(self._index),
        ]
        with m.FSM(init="header"):
            with m.State("header"):
                self._take_header(m, free)
            with self._section(m, "parameters", self.strip.parameters, parameters - 1):
                m.next = "values"
            with self._section(m, "values", self.strip.values, lengths.values):
                self._end_values(m, lengths.planes)
            if config.place_bits:
                enable = self.strip.planes.bit_select(self._plane, 1)
                with self._section(m, "places", enable, lengths.places):
                    m.d.sync += self._plane.eq(self._plane + 1)
                    with m.If(self._plane + 1 == lengths.planes):
                        self._end_places(m)
            if config.gather_lines:
                with self._section(m, "offsets", self.strip.offsets, lengths.offsets):
                    self._end_strip(m)
            with m.State("lines"):
                self._take_lines(m)
            with m.State("rest"):
                pass

    def _take_header(self, m: Module, free) -> None:
        """Wait for the strip's bank, and note how many steps it has."""
        steps = self.i.payload[:HEADER_BITS]
        m.d.comb += [self._header.eq(1), self.i.ready.eq(free)]
        m.d.sync += [self._steps.eq(steps), self._plane.eq(0)]
        with m.If(self.took):
            m.d.comb += self.error.eq((steps == 0) | (steps > self.config.weight_steps))
            m.next = "parameters"

    @contextmanager
    def _section(self, m: Module, name: str, enable, last) -> Iterator[None]:
        """A state that takes words up to the section's last one; what is inside happens together
        with that one."""
        with m.State(name):
            m.d.comb += self.i.ready.eq(1)
            with m.If(self.took):
                m.d.comb += enable.eq(1)
                m.d.sync += self._index.eq(self._index + 1)
                with m.If(self._index == last):
                    m.d.sync += self._index.eq(0)
                    yield

    def _end_values(self, m: Module, planes) -> None:
        """Go on with places, if the mode has some."""
        if not self.config.place_bits:
            self._end_places(m)
            return
        with m.If(planes == 0):
            self._end_places(m)
        with m.Else():
            m.next = "places"

    def _end_places(self, m: Module) -> None:
        """Go on with offsets, if the layer has some."""
        if not self.config.gather_lines:
            self._end_strip(m)
            return
        with m.If(self.settings.gather):
            m.next = "offsets"
        with m.Else():
            self._end_strip(m)

    def _end_strip(self, m: Module) -> None:
        """Go on with lines if some are due, else with the next strip."""
        first, some = self._strip == 1, self.settings.ahead_lines != 0
        missing = first & (self._ahead == 0)
        due = ~first & (self._ahead == 1) & ~self._all_tiles & some
        m.d.comb += self._strip_ends.eq(1)
        m.d.sync += self._behind.eq(1)
        with m.If(missing | due):
            m.next = "lines"
        with m.Else():
            self._go_on(m)

    def _take_lines(self, m: Module) -> None:
        """Take what the block still misses, or as many lines of the next one as are due."""
        m.d.comb += [self.i.ready.eq(1), self.line.enable.eq(self.took)]
        enough = (self._strip != 1) & (self._behind == self.settings.ahead_lines)
        with m.If(self._line_ends):
            m.d.sync += self._behind.eq(self._behind + 1)
            with m.If(self._block_ends | enough):
                self._go_on(m)

    def _go_on(self, m: Module) -> None:
        """Count strips; behind the last one of the last block there is nothing."""
        m.d.sync += self._bank.eq(~self._bank)
        with m.If(self._strip != self.settings.strips):
            m.d.sync += self._strip.eq(self._strip + 1)
            m.next = "header"
        with m.Else():
            m.d.sync += self._strip.eq(1)
            m.d.comb += self._next_block.eq(1)
            ahead = self._ahead + self._block_ends
            with m.If((ahead == 1) & (self._all_tiles | self._tiles_end)):
                m.next = "rest"
            with m.Else():
                m.next = "header"

    def _place_lines(self, m: Module) -> None:
        """Count words, lines and tiles of the block that is being filled, and blocks."""
        config, settings = self.config, self.settings
        words = config.line_bits // config.load_bits
        tile_line = Signal(bits_for(config.act_lines), init=1)
        tile = Signal(bits_for(config.act_lines), init=1)
        all_tiles = Signal(COUNT_BITS, init=1)
        m.d.comb += [
            self._line_ends.eq(self.line.enable & (self.line.word == words - 1)),
            self._tile_ends.eq(self._line_ends & (tile_line == settings.input_lines)),
            self._tiles_end.eq(self._tile_ends & (all_tiles == settings.tiles)),
            self._block_ends.eq(
                (self._tile_ends & (tile == settings.block_tiles)) | self._tiles_end
            ),
        ]
        with m.If(self.line.enable):
            m.d.sync += self.line.word.eq(self.line.word + 1)
        with m.If(self._line_ends):
            m.d.sync += [
                self.line.word.eq(0),
                self.line.line.eq(self.line.line + 1),
                tile_line.eq(tile_line + 1),
            ]
        with m.If(self._tile_ends):
            m.d.sync += [tile_line.eq(1), tile.eq(tile + 1), all_tiles.eq(all_tiles + 1)]
        with m.If(self._block_ends):
            m.d.sync += [self.line.bank.eq(~self.line.bank), self.line.line.eq(0), tile.eq(1)]
        m.d.sync += [
            self._all_tiles.eq(self._all_tiles | self._tiles_end),
            self._ahead.eq(self._ahead + self._block_ends - self._next_block),
        ]

    def _is_free(self, m: Module):
        """Whether the next strip's bank is: from the end of its use on until the next header."""
        free = Signal(BANKS, init=(1 << BANKS) - 1)
        for bank in range(BANKS):
            with m.If(self._header & self.took & (self._bank == bank)):
                m.d.sync += free[bank].eq(0)
            for done in (self.strip_done, self.part_done):
                with m.If(done.enable & (done.bank == bank)):
                    m.d.sync += free[bank].eq(1)
        return free.bit_select(self._bank, 1)

    def _tell(self, m: Module) -> None:
        """Tell the sequencer what it may use, until it has used it up."""
        for bank in range(BANKS):
            # Cycles before the strip is there, for the sequencer looks at it a cycle before.
            with m.If(self._header & self.took & (self._bank == bank)):
                m.d.sync += self.loaded.last_step[bank].eq(self.i.payload[:HEADER_BITS] - 1)
            with m.If(self.strip_used.enable & (self.strip_used.bank == bank)):
                m.d.sync += self.loaded.full[bank].eq(0)
            with m.If(self._strip_ends & (self._bank == bank)):
                m.d.sync += self.loaded.full[bank].eq(1)
            with m.If(self.block_used.enable & (self.block_used.bank == bank)):
                m.d.sync += self.loaded.tiles[bank].eq(0)
            with m.If(self._tile_ends & (self.line.bank == bank)):
                m.d.sync += self.loaded.tiles[bank].eq(self.loaded.tiles[bank] + 1)
