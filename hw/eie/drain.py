"""Drain: makes activations of finished sums and hands them to the activation store."""

from amaranth import Module, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.eie.payloads import DrainOrder, MemoryWrite, settings_layout
from hw.memory import Ram
from hw.requantize import Requantize
from spec.eie.config import EieConfig


class Drain(wiring.Component):
    """Follows the orders of central control, a row in each cycle: sum and bias in, activation out.

    Attributes
    ----------
    latency : int
        Cycles from an order's row to its activation: one for the memories, and requantize's.

    Members
    -------
    order : from central control
    settings : In
        Of the running pass.
    acc : In
        Sum of the row that was ordered in the cycle before, from the accumulators.
    store : writes to the activation store
    write : biases from the host
    """

    latency = 1 + Requantize.latency

    def __init__(self, config: EieConfig):
        self.config = config
        super().__init__(
            {
                "order": In(DrainOrder(config)),
                "settings": In(settings_layout(config)),
                "acc": In(signed(config.acc_bits)),
                "store": Out(MemoryWrite(config.act_row_bits + 1, signed(config.act_bits))),
                "write": In(MemoryWrite(config.bias_address_bits, config.acc_bits)),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        m.submodules.biases = biases = Ram(config.acc_bits, config.biases)
        m.submodules.requantize = requantize = Requantize(
            acc_bits=config.acc_bits,
            multiplier_bits=config.multiplier_bits,
            shift_bits=config.shift_bits,
            act_bits=config.act_bits,
        )

        # Read the row's bias beside its sum.
        m.d.comb += [
            biases.read_enable.eq(self.order.enable),
            biases.read_address.eq(self.order.bias_address),
            biases.write_enable.eq(self.write.enable),
            biases.write_address.eq(self.write.address),
            biases.write_data.eq(self.write.data),
        ]

        # Requantize, and store where central control says.
        m.d.comb += [
            requantize.acc.eq(self.acc),
            requantize.bias.eq(biases.read_data),
            requantize.multiplier.eq(self.settings.multiplier),
            requantize.shift.eq(self.settings.shift),
            requantize.relu.eq(self.settings.relu),
            self.store.enable.eq(self.order.store_enable),
            self.store.address.eq(self.order.store_address),
            self.store.data.eq(requantize.o),
        ]
        return m
