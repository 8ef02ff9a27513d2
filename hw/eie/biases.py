"""Biases: one per output, added to its sum before it is scaled."""

from amaranth import Module, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.eie.payloads import MemoryWrite
from hw.memory import Ram
from spec.eie.config import EieConfig


class Biases(wiring.Component):
    """The biases of this PE's outputs.

    Attributes
    ----------
    latency : int
        Cycles from ``address`` to ``bias``: 1.

    Members
    -------
    enable, address : In
        From central control's order.
    bias : Out
    write : biases from the host
    """

    latency = 1

    def __init__(self, config: EieConfig):
        self.config = config
        super().__init__(
            {
                "enable": In(1),
                "address": In(config.bias_address_bits),
                "bias": Out(signed(config.acc_bits)),
                "write": In(MemoryWrite(config.bias_address_bits, config.acc_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = Ram(self.config.acc_bits, self.config.biases)
        m.d.comb += [
            words.read_enable.eq(self.enable),
            words.read_address.eq(self.address),
            self.bias.eq(words.read_data),
            words.write_enable.eq(self.write.enable),
            words.write_address.eq(self.write.address),
            words.write_data.eq(self.write.data),
        ]
        return m
