"""Counters: what the array did in every cycle of a run, under the names of the cycle model."""

from amaranth import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from spec.nm.config import NmConfig
from spec.nm.counters import COUNTERS
from spec.nm.iomap import address_bits


class Counters(wiring.Component):
    """Counts events during a run, and keeps the counts until the next one.

    Members
    -------
    clear : In
    events : In
        What happens in this cycle.
    read_enable, read_address : In
    read_data : Out
        In the next cycle.
    """

    def __init__(self, config: NmConfig):
        self.config = config
        super().__init__(
            {
                "clear": In(1),
                "events": In(data.StructLayout(dict.fromkeys(COUNTERS, 1))),
                "read_enable": In(1),
                "read_address": In(address_bits(config)),
                "read_data": Out(config.counter_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        for number, name in enumerate(COUNTERS):
            count = Signal(self.config.counter_bits, name=name)

            # Count; a run begins at zero.
            with m.If(self.clear):
                m.d.sync += count.eq(0)
            with m.Elif(self.events[name]):
                m.d.sync += count.eq(count + 1)

            # Answer the host.
            with m.If(self.read_enable & (self.read_address == number)):
                m.d.sync += self.read_data.eq(count)
        return m
