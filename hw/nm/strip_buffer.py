"""Strip buffer: weights, places, offsets and parameters of two strips."""

from amaranth import Cat, Const, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.emit import Placed
from hw.nm.payloads import (
    ItemRead,
    StripWrite,
    offsets_layout,
    parameters_layout,
    places_layout,
    settings_layout,
    step_layout,
    weights_layout,
)
from hw.nm.word_buffer import WordBuffer
from hw.streams import steady
from spec.config import IO_DATA_BITS
from spec.nm.config import NmConfig


def weight_latency(config: NmConfig) -> int:
    """Cycles from a step to its weights and places."""
    return WordBuffer.latency + 1 + config.pipeline


class StripBuffer(wiring.Component):
    """One strip is computed with while the next one is loaded.

    Attributes
    ----------
    latency : int
        Cycles from a step on ``i`` to its weights and places: 2, the second for cutting them out,
        or 3 with ``pipeline``.
        Parameters and offsets answer in the next cycle.

    Members
    -------
    write : words from the loader
    settings : In
    i : stream of steps
    weights, places : Out
        Of each row. Bits of places that the mode has not are zero.
    parameters : read port, of a row
    offsets : read port, of a line; only with a gather stage
    """

    def __init__(self, config: NmConfig):
        self.config = config
        self.latency = weight_latency(config)
        members = {
            "write": In(StripWrite(config)),
            "settings": In(settings_layout(config)),
            "i": In(steady(step_layout(config))),
            "weights": Out(data.ArrayLayout(weights_layout(config), config.rows)),
            "parameters": In(ItemRead(config.rows, parameters_layout(config))),
        }
        if config.place_bits:
            members["places"] = Out(data.ArrayLayout(places_layout(config), config.rows))
        if config.gather_lines:
            members["offsets"] = In(ItemRead(config.gather_lines, offsets_layout(config)))
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        self._keep_weights(m)
        self._keep_places(m)
        self._keep_parameters(m)
        self._keep_offsets(m)
        return m

    def _section(self, m: Module, name: str, enable, item_bits: int, items: int) -> Placed:
        """A buffer that takes the words of a section."""
        words = WordBuffer(item_bits=item_bits, items=items, load_bits=self.config.load_bits)
        m.submodules[name] = buffer = Placed(words, f"nm_words_{items}x{item_bits}")
        m.d.comb += [
            buffer.write_enable.eq(enable),
            buffer.write_bank.eq(self.write.bank),
            buffer.write_index.eq(self.write.index),
            buffer.write_data.eq(self.write.data),
        ]
        return buffer

    def _of_step(self, m: Module, name: str, enable, slot_bits: int) -> Signal:
        """What a section holds for the step, a slot for each weight."""
        config = self.config
        bits = config.step_weights * slot_bits
        buffer = self._section(m, name, enable, bits, config.weight_steps)
        m.d.comb += [
            buffer.read.enable.eq(self.i.valid),
            buffer.read.bank.eq(self.i.payload.weight_bank),
            buffer.read.item.eq(self.i.payload.number),
        ]
        if not config.pipeline:
            return buffer.read.data
        found = Signal(bits, name=f"found_{name}")
        m.d.sync += found.eq(buffer.read.data)
        return found

    def _keep_weights(self, m: Module) -> None:
        """A step's weights, without what is left of their slots."""
        config, slot = self.config, self.config.weight_slot_bits
        found = self._of_step(m, "values", self.write.values, slot)
        weights = [
            found[slot * number : slot * number + config.weight_bits]
            for number in range(config.step_weights)
        ]
        m.d.sync += self.weights.as_value().eq(Cat(weights))

    def _keep_places(self, m: Module) -> None:
        """A step's places, put together from their planes."""
        config = self.config
        planes = []
        for bit in range(config.place_bits):
            has_plane = [mode.place_bits > bit for mode in config.modes]
            plane = self._of_step(m, f"plane{bit}", self.write.planes[bit], 1)
            wanted = Const(sum(has << number for number, has in enumerate(has_plane)))
            has = Signal(name=f"has_plane{bit}")
            m.d.comb += has.eq(wanted.bit_select(self.settings.mode, 1))
            planes.append(plane & has.replicate(len(plane)))
        if planes:
            places = [Cat(plane[k] for plane in planes) for k in range(config.step_weights)]
            m.d.sync += self.places.as_value().eq(Cat(places))

    def _keep_parameters(self, m: Module) -> None:
        """A row's parameters."""
        buffer = self._section(
            m, "parameters", self.write.parameters, IO_DATA_BITS, self.config.rows
        )
        _connect_read(m, self.parameters, buffer)

    def _keep_offsets(self, m: Module) -> None:
        """A line's offsets."""
        config = self.config
        if config.gather_lines:
            bits = config.line_inputs * config.offset_slot_bits
            buffer = self._section(m, "offsets", self.write.offsets, bits, config.gather_lines)
            _connect_read(m, self.offsets, buffer)


def _connect_read(m: Module, port, buffer: Placed) -> None:
    m.d.comb += [
        buffer.read.enable.eq(port.enable),
        buffer.read.bank.eq(port.bank),
        buffer.read.item.eq(port.item),
        port.data.as_value().eq(buffer.read.data),
    ]
