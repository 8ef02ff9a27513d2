"""Pointer store: the pointers of a PE, any two neighbours in one cycle."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.eie.payloads import MemoryWrite
from hw.memory import Ram
from hw.pair_memory import PairRam
from spec.eie.config import EieConfig


class PointerStore(wiring.Component):
    """Reads p[j] and p[j+1] together.

    Either from one memory that reads two neighbours, but none in a cycle in which it writes; or
    from two banks, where pointers of even address stand in one and odd ones in the other
    (:attr:`spec.eie.config.EieConfig.paired_pointers`).

    Attributes
    ----------
    latency : int
        Cycles from ``address`` to ``start`` and ``end``: 1.

    Members
    -------
    address : In
        Of the column to look up. One is looked up in every cycle: any address does while there is
        none, and nothing is made of what comes.
    start, end : Out
        Its pointer and the one behind it.
    write : pointers from the host
    """

    latency = 1

    def __init__(self, config: EieConfig):
        self.config = config
        super().__init__(
            {
                "address": In(config.pointer_address_bits),
                "start": Out(config.pointer_bits),
                "end": Out(config.pointer_bits),
                "write": In(MemoryWrite(config.pointer_address_bits, config.pointer_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        if self.config.paired_pointers:
            self._pairs(m)
        else:
            self._banks(m)
        return m

    def _pairs(self, m: Module) -> None:
        config = self.config
        m.submodules.words = words = PairRam(config.pointer_bits, config.columns)
        m.d.comb += [
            words.write_enable.eq(self.write.enable),
            words.write_data.eq(self.write.data),
            words.read_enable.eq(1),
            words.address.eq(Mux(self.write.enable, self.write.address, self.address)),
            self.start.eq(words.read_data),
            self.end.eq(words.next_data),
        ]

    def _banks(self, m: Module) -> None:
        config = self.config
        m.submodules.even = even = Ram(config.pointer_bits, config.bank_columns)
        m.submodules.odd = odd = Ram(config.pointer_bits, config.bank_columns)
        is_odd = Signal()

        # Read this pointer and the next one; they never share a bank.
        m.d.sync += is_odd.eq(self.address[0])
        m.d.comb += [
            even.read_enable.eq(1),
            even.read_address.eq((self.address + 1) >> 1),
            odd.read_enable.eq(1),
            odd.read_address.eq(self.address >> 1),
            self.start.eq(Mux(is_odd, odd.read_data, even.read_data)),
            self.end.eq(Mux(is_odd, even.read_data, odd.read_data)),
        ]

        # Write what the host sends.
        for bank, parity in ((even, 0), (odd, 1)):
            m.d.comb += [
                bank.write_enable.eq(self.write.enable & (self.write.address[0] == parity)),
                bank.write_address.eq(self.write.address >> 1),
                bank.write_data.eq(self.write.data),
            ]
