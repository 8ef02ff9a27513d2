"""Loader: brings every word of the load stream to its place, in the order of
:func:`spec.nm.stream.schedule`."""

from collections.abc import Iterator
from contextlib import contextmanager

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.nm.payloads import Done, LineWrite, Loaded, StripWrite, index_bits, settings_layout
from spec.nm.config import BANKS, HEADER_BITS, IO_DATA_BITS, NmConfig, bits_for
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
                "took": Out(1),
                "error": Out(1),
            }
        )
        self._header = Signal(name="takes_header")
        self._steps = Signal(range(config.weight_steps + 1), name="steps")
        self._plane = Signal(range(max(2, config.place_bits)), name="plane")
        self._bank = Signal(name="weight_bank")
        self._strip = Signal(COUNT_BITS, name="strip_number")
        self._behind = Signal(bits_for(config.act_lines), name="lines_behind")
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
        config, settings = self.config, self.settings

        def end_strip() -> None:
            """Go on with lines if some are due, else with the next strip."""
            first = self._strip == 0
            missing = first & (self._ahead == 0)
            some = ~first & (self._ahead == 1) & ~self._all_tiles & (settings.ahead_lines != 0)
            m.d.comb += self._strip_ends.eq(1)
            m.d.sync += self._behind.eq(0)
            with m.If(missing | some):
                m.next = "lines"
            with m.Else():
                go_on()

        def go_on() -> None:
            """Count strips; behind the last one of the last block there is nothing."""
            m.d.sync += self._bank.eq(~self._bank)
            with m.If(self._strip != settings.strips - 1):
                m.d.sync += self._strip.eq(self._strip + 1)
                m.next = "header"
            with m.Else():
                m.d.sync += self._strip.eq(0)
                m.d.comb += self._next_block.eq(1)
                ahead = self._ahead + self._block_ends
                with m.If((ahead == 1) & (self._all_tiles | self._tiles_end)):
                    m.next = "rest"
                with m.Else():
                    m.next = "header"

        def end_places() -> None:
            if config.gather_lines:
                with m.If(settings.gather):
                    m.next = "offsets"
                with m.Else():
                    end_strip()
            else:
                end_strip()

        index = Signal(index_bits(config))
        lasts, planes = self._count_words(m)
        free = self._is_free(m)
        m.d.comb += self.strip.index.eq(index)

        @contextmanager
        def section(name: str, enable) -> Iterator[None]:
            """Take words up to the section's last one; what is inside happens together with it."""
            with m.State(name):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.took):
                    m.d.comb += enable.eq(1)
                    m.d.sync += index.eq(index + 1)
                    with m.If(index == lasts[name]):
                        m.d.sync += index.eq(0)
                        yield

        with m.FSM(init="header"):
            with m.State("header"):
                steps = self.i.payload[:HEADER_BITS]
                m.d.comb += [self._header.eq(1), self.i.ready.eq(free)]
                m.d.sync += [self._steps.eq(steps), self._plane.eq(0)]
                with m.If(self.took):
                    m.d.comb += self.error.eq((steps == 0) | (steps > config.weight_steps))
                    m.next = "parameters"

            with section("parameters", self.strip.parameters):
                m.next = "values"

            with section("values", self.strip.values):
                if config.place_bits:
                    with m.If(planes == 0):
                        end_places()
                    with m.Else():
                        m.next = "places"
                else:
                    end_places()

            if config.place_bits:
                with section("places", self.strip.planes.bit_select(self._plane, 1)):
                    m.d.sync += self._plane.eq(self._plane + 1)
                    with m.If(self._plane + 1 == planes):
                        end_places()

            if config.gather_lines:
                with section("offsets", self.strip.offsets):
                    end_strip()

            with m.State("lines"):
                m.d.comb += [self.i.ready.eq(1), self.line.enable.eq(self.took)]
                enough = (self._strip != 0) & (self._behind + 1 == settings.ahead_lines)
                with m.If(self._line_ends):
                    m.d.sync += self._behind.eq(self._behind + 1)
                    with m.If(self._block_ends | enough):
                        go_on()

            with m.State("rest"):
                pass

    def _count_words(self, m: Module) -> tuple[dict[str, Signal], Signal]:
        """Number of the last word of each section of the strip, a cycle behind its steps; and its
        planes of places."""
        config = self.config
        mode = self.settings.mode
        lines = Signal(range(config.weight_steps + 1))
        planes = Signal(range(config.place_bits + 2))
        with m.Switch(mode):
            for number, one in enumerate(config.modes):
                with m.Case(number):
                    phases = config.phases(one)
                    m.d.comb += [
                        lines.eq((self._steps + phases - 1) >> (phases.bit_length() - 1)),
                        planes.eq(one.place_bits),
                    ]
        weights = config.step_weights
        parameters = words_for(config.rows, IO_DATA_BITS, config.load_bits)
        counts = {
            "parameters": parameters,
            "values": _words(self._steps, weights * config.weight_slot_bits, config.load_bits),
            "places": _words(self._steps, weights, config.load_bits),
            "offsets": _words(
                lines, config.line_inputs * config.offset_slot_bits, config.load_bits
            ),
        }
        lasts = {}
        for name, count in counts.items():
            lasts[name] = last = Signal(index_bits(config), name=f"last_of_{name}")
            if name == "parameters":
                m.d.comb += last.eq(parameters - 1)
            else:
                m.d.sync += last.eq(count - 1)
        return lasts, planes

    def _place_lines(self, m: Module) -> None:
        """Count words, lines and tiles of the block that is being filled, and blocks."""
        config, settings = self.config, self.settings
        words = config.line_bits // config.load_bits
        tile_line = Signal(bits_for(config.act_lines))
        tile = Signal(bits_for(config.act_lines))
        all_tiles = Signal(COUNT_BITS)
        m.d.comb += [
            self._line_ends.eq(self.line.enable & (self.line.word == words - 1)),
            self._tile_ends.eq(self._line_ends & (tile_line + 1 == settings.input_lines)),
            self._tiles_end.eq(self._tile_ends & (all_tiles + 1 == settings.tiles)),
            self._block_ends.eq(
                (self._tile_ends & (tile + 1 == settings.block_tiles)) | self._tiles_end
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
            m.d.sync += [tile_line.eq(0), tile.eq(tile + 1), all_tiles.eq(all_tiles + 1)]
        with m.If(self._block_ends):
            m.d.sync += [self.line.bank.eq(~self.line.bank), self.line.line.eq(0), tile.eq(0)]
        m.d.sync += [
            self._all_tiles.eq(self._all_tiles | self._tiles_end),
            self._ahead.eq(self._ahead + self._block_ends - self._next_block),
        ]

    def _is_free(self, m: Module):
        """Whether the next strip's bank is: from its last row on until the next header."""
        free = Signal(BANKS, init=(1 << BANKS) - 1)
        for bank in range(BANKS):
            with m.If(self._header & self.took & (self._bank == bank)):
                m.d.sync += free[bank].eq(0)
            with m.If(self.strip_done.enable & (self.strip_done.bank == bank)):
                m.d.sync += free[bank].eq(1)
        return free.bit_select(self._bank, 1)

    def _tell(self, m: Module) -> None:
        """Tell the sequencer what it may use, until it has used it up."""
        for bank in range(BANKS):
            with m.If(self.strip_used.enable & (self.strip_used.bank == bank)):
                m.d.sync += self.loaded.full[bank].eq(0)
            with m.If(self._strip_ends & (self._bank == bank)):
                m.d.sync += [
                    self.loaded.full[bank].eq(1),
                    self.loaded.last_step[bank].eq(self._steps - 1),
                ]
            with m.If(self.block_used.enable & (self.block_used.bank == bank)):
                m.d.sync += self.loaded.tiles[bank].eq(0)
            with m.If(self._tile_ends & (self.line.bank == bank)):
                m.d.sync += self.loaded.tiles[bank].eq(self.loaded.tiles[bank] + 1)


def _words(items, item_bits: int, load_bits: int):
    """Words that items take; both widths are powers of two."""
    if item_bits >= load_bits:
        return items << ((item_bits // load_bits).bit_length() - 1)
    together = load_bits // item_bits
    return (items + together - 1) >> (together.bit_length() - 1)
