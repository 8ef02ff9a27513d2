"""Activation store: this PE's share of the source and of the destination activations of one
lane."""

from amaranth import Module, Mux, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.eie.payloads import MemoryRead, MemoryWrite
from hw.memory import Ram
from spec.eie.config import EieConfig


class ActStore(wiring.Component):
    """Two halves of one memory; they change places by the top address bit, which central control
    turns.

    The read port holds its word, which makes it the row register that non-zero detection looks at.

    Members
    -------
    scan : reads by central control, in computing mode
    host_read, host_write : the host's, in I/O mode
    drain : writes by drain, in computing mode
    """

    def __init__(self, config: EieConfig):
        self.config = config
        act = signed(config.act_bits)
        address_bits = config.act_row_bits + 1
        super().__init__(
            {
                "scan": In(MemoryRead(address_bits, act)),
                "host_read": In(MemoryRead(address_bits, act)),
                "host_write": In(MemoryWrite(address_bits, act)),
                "drain": In(MemoryWrite(address_bits, act)),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        m.submodules.acts = acts = Ram(config.act_bits, 2 << config.act_row_bits)
        m.d.comb += [
            # Which of the two asks is late in a scan; who wins when both do does not matter.
            acts.read_enable.eq(self.scan.enable | self.host_read.enable),
            acts.read_address.eq(
                Mux(self.host_read.enable, self.host_read.address, self.scan.address)
            ),
            self.scan.data.eq(acts.read_data),
            self.host_read.data.eq(acts.read_data),
            acts.write_enable.eq(self.drain.enable | self.host_write.enable),
            acts.write_address.eq(
                Mux(self.drain.enable, self.drain.address, self.host_write.address)
            ),
            acts.write_data.eq(Mux(self.drain.enable, self.drain.data, self.host_write.data)),
        ]
        return m
