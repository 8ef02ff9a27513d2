"""Gather: which line each input of a step is read from."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.nm.payloads import (
    ItemRead,
    addresses_layout,
    line_shape,
    offsets_layout,
    settings_layout,
    step_layout,
)
from hw.streams import steady
from spec.nm.config import NmConfig


class Gather(wiring.Component):
    """Adds to a step's line the offset of each of its inputs; zeros if nothing is gathered.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to ``o``: 2, for reading the offsets and for adding them.

    Members
    -------
    i : stream of steps
    settings : In
    offsets : read port of the strip buffer; only with a gather stage
    o : Out
    """

    latency = 2

    def __init__(self, config: NmConfig):
        self.config = config
        members = {
            "i": In(steady(step_layout(config))),
            "settings": In(settings_layout(config)),
            "o": Out(addresses_layout(config)),
        }
        if config.gather_lines:
            members["offsets"] = Out(ItemRead(config.gather_lines, offsets_layout(config)))
        super().__init__(members)

    def elaborate(self, platform):
        config = self.config
        m = Module()
        line = Signal(line_shape(config))
        m.d.sync += line.eq(self.i.payload.base + self.i.payload.line)

        # Read offsets.
        if config.gather_lines:
            m.d.comb += [
                self.offsets.enable.eq(self.i.valid),
                self.offsets.bank.eq(self.i.payload.weight_bank),
                self.offsets.item.eq(self.i.payload.line),
            ]

        # Add them.
        for k in range(config.line_inputs):
            offset = 0
            if config.gather_lines:
                offset = Signal(line_shape(config), name=f"offset{k}")
                with m.If(self.settings.gather):
                    m.d.comb += offset.eq(self.offsets.data[k])
            m.d.sync += self.o[k].eq(line + offset)
        return m
