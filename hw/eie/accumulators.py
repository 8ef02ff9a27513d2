"""Accumulators: one exact sum per row, shared in time by the MAC and by drain."""

from amaranth import Module, Mux, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.eie.payloads import MemoryRead, MemoryWrite
from hw.memory import Ram
from spec.eie.config import EieConfig


class Accumulators(wiring.Component):
    """The rows' sums. Between passes that drain, all of them are zero.

    The MAC is never busy while drain is at work, so they need no arbiter.

    Members
    -------
    mac_read, mac_write : ports for the MAC
    take : In
        Read the sum of ``take_row`` into ``taken``.
    clear : In
        Set the sum of ``take_row`` to zero; a sum taken in the same cycle is the old one.
    taken : Out
        Sum taken in the cycle before.
    """

    def __init__(self, config: EieConfig):
        self.config = config
        acc = signed(config.acc_bits)
        super().__init__(
            {
                "mac_read": In(MemoryRead(config.row_bits, acc)),
                "mac_write": In(MemoryWrite(config.row_bits, acc)),
                "take": In(1),
                "clear": In(1),
                "take_row": In(config.row_bits),
                "taken": Out(acc),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.sums = sums = Ram(self.config.acc_bits, self.config.rows)
        m.d.comb += [
            sums.read_enable.eq(self.take | self.mac_read.enable),
            sums.read_address.eq(Mux(self.take, self.take_row, self.mac_read.address)),
            self.taken.eq(sums.read_data),
            self.mac_read.data.eq(sums.read_data),
            sums.write_enable.eq(self.clear | self.mac_write.enable),
            sums.write_address.eq(Mux(self.clear, self.take_row, self.mac_write.address)),
            sums.write_data.eq(Mux(self.clear, 0, self.mac_write.data)),
        ]
        return m
