"""Accumulators: one exact sum per row, shared in time by the MAC and by drain."""

from amaranth import Module, Mux, Signal, signed
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
    clearing : Out
        The MAC's datum, which is to be zero now, goes to a row that is cleared.
    take : In
        Read the sum of ``take_row`` into ``taken``.
    clear : In
        Set the sum of ``take_row`` to zero, in the next cycle; a sum taken in the same one is the
        old one.
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
                "clearing": Out(1),
                "take": In(1),
                "clear": In(1),
                "take_row": In(config.row_bits),
                "taken": Out(acc),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.sums = sums = Ram(self.config.acc_bits, self.config.rows)
        clear_row = Signal.like(self.take_row)

        # Clear a cycle later: a word is not written at the edge that reads it.
        m.d.sync += [self.clearing.eq(self.clear), clear_row.eq(self.take_row)]

        # Read and write for the MAC or for drain.
        m.d.comb += [
            sums.read_enable.eq(self.take | self.mac_read.enable),
            sums.read_address.eq(Mux(self.take, self.take_row, self.mac_read.address)),
            self.taken.eq(sums.read_data),
            self.mac_read.data.eq(sums.read_data),
            sums.write_enable.eq(self.clearing | self.mac_write.enable),
            sums.write_address.eq(Mux(self.clearing, clear_row, self.mac_write.address)),
            sums.write_data.eq(self.mac_write.data),
        ]
        return m
