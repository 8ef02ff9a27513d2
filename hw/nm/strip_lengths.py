"""Strip lengths: how many words each section of a strip takes."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.nm.payloads import index_bits, settings_layout
from spec.nm.config import NmConfig


class StripLengths(wiring.Component):
    """Counts words from a strip's steps, and planes of places from the mode.

    Attributes
    ----------
    latency : int
        Cycles from ``steps`` to the sections' lengths: 1.

    Members
    -------
    settings : In
    steps : In
        Of the strip.
    values, places, offsets : Out
        Number of the section's last word; of one plane of places.
    planes : Out
        Planes of places.
    """

    latency = 1

    def __init__(self, config: NmConfig):
        self.config = config
        super().__init__(
            {
                "settings": In(settings_layout(config)),
                "steps": In(range(config.weight_steps + 1)),
                "values": Out(index_bits(config)),
                "places": Out(index_bits(config)),
                "offsets": Out(index_bits(config)),
                "planes": Out(range(config.place_bits + 2)),
            }
        )

    def elaborate(self, platform):
        config, load_bits = self.config, self.config.load_bits
        m = Module()
        weights = config.step_weights
        offsets = config.line_inputs * config.offset_slot_bits
        m.d.sync += [
            self.values.eq(_words(self.steps, weights * config.weight_slot_bits, load_bits) - 1),
            self.places.eq(_words(self.steps, weights, load_bits) - 1),
            self.offsets.eq(_words(self._count_lines(m), offsets, load_bits) - 1),
        ]
        return m

    def _count_lines(self, m: Module) -> Signal:
        """Lines that the steps last for; planes on the way, which depend on the mode as well."""
        config = self.config
        lines = Signal.like(self.steps)
        with m.Switch(self.settings.mode):
            for number, mode in enumerate(config.modes):
                with m.Case(number):
                    phases = config.phases(mode)
                    m.d.comb += [
                        lines.eq((self.steps + (phases - 1)) >> (phases.bit_length() - 1)),
                        self.planes.eq(mode.place_bits),
                    ]
        return lines


def _words(items, item_bits: int, load_bits: int):
    """Words that items take; both widths are powers of two."""
    if item_bits >= load_bits:
        return items << ((item_bits // load_bits).bit_length() - 1)
    together = load_bits // item_bits
    return (items + (together - 1)) >> (together.bit_length() - 1)
