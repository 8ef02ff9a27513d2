"""Counters: what a PE did in every cycle of a pass, under the names of the cycle model."""

from amaranth import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.eie.payloads import Phase
from hw.memory import Ram
from spec.config import bits_for
from spec.eie.config import EieConfig


class Counters(wiring.Component):
    """Counts events during a pass, keeps the counts of every pass, and answers the host.

    Parameters
    ----------
    names : tuple of str
        One counter each, in order of their address.
    widths : dict
        Of the increments that may be more than one.

    Members
    -------
    events : In
        What this cycle adds to each counter.
    phase : from central control
    read_enable, read_address : In
        ``pass << k | counter``.
    read_data : Out
        In the next cycle.
    """

    def __init__(
        self, config: EieConfig, names: tuple[str, ...], widths: dict[str, int] | None = None
    ):
        self.config = config
        self.names = names
        increments = data.StructLayout(
            {name: unsigned((widths or {}).get(name, 1)) for name in names}
        )
        self.pick_bits = bits_for(len(names) - 1)
        super().__init__(
            {
                "events": In(increments),
                "phase": In(Phase(config)),
                "read_enable": In(1),
                "read_address": In(config.layer_bits + self.pick_bits),
                "read_data": Out(config.counter_bits),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        bits = config.counter_bits
        m.submodules.saved = saved = Ram(bits * len(self.names), config.layers)
        counts = [Signal(bits, name=name) for name in self.names]

        # Count; a pass begins at zero.
        for name, count in zip(self.names, counts, strict=True):
            m.d.sync += count.eq(Mux(self.phase.save, 0, count) + self.events[name])

        # Save the counts of the pass that has ended.
        m.d.comb += [
            saved.write_enable.eq(self.phase.save),
            saved.write_address.eq(self.phase.saved_pass),
            saved.write_data.eq(Cat(counts)),
        ]

        # Answer the host.
        pick = Signal(self.pick_bits)
        with m.If(self.read_enable):
            m.d.sync += pick.eq(self.read_address)
        m.d.comb += [
            saved.read_enable.eq(self.read_enable),
            saved.read_address.eq(self.read_address >> self.pick_bits),
        ]
        with m.Switch(pick):
            for index in range(len(self.names)):
                with m.Case(index):
                    m.d.comb += self.read_data.eq(saved.read_data.word_select(Const(index), bits))
        return m
