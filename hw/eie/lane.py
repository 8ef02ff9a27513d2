"""Lane: what a PE has once for every image that it works on at the same time."""

from amaranth import Module, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.eie.accumulators import Accumulators
from hw.eie.act_store import ActStore
from hw.eie.mac import Mac
from hw.eie.payloads import (
    DrainOrder,
    MemoryRead,
    MemoryWrite,
    element_settings_layout,
    lane_update_layout,
)
from hw.requantize import Requantize
from hw.streams import steady
from spec.eie.config import EieConfig


class Lane(wiring.Component):
    """Multiplier, accumulators, requantization and activations of one image.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to the sum's write.

    Members
    -------
    i : stream of updates, from row accumulate; none where this image's activation is zero
    weight : In
    busy : Out
        A sum is written in this cycle.
    settings, order : from central control
    sum : Out
        Of the row that was ordered in the cycle before.
    reduced, bias : In
        Sum of that row over all clusters, and its bias, to requantize.
    scan : reads of the source activations
    host_read, host_write : the host's access to the activations
    """

    latency = Mac.latency

    def __init__(self, config: EieConfig):
        self.config = config
        act, acc = signed(config.act_bits), signed(config.acc_bits)
        address_bits = config.act_row_bits + 1
        super().__init__(
            {
                "i": In(steady(lane_update_layout(config))),
                "weight": In(signed(config.weight_bits)),
                "busy": Out(1),
                "settings": In(element_settings_layout(config)),
                "order": In(DrainOrder(config)),
                "sum": Out(acc),
                "reduced": In(acc),
                "bias": In(acc),
                "scan": In(MemoryRead(address_bits, act)),
                "host_read": In(MemoryRead(address_bits, act)),
                "host_write": In(MemoryWrite(address_bits, act)),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        m.submodules.mac = mac = Mac(config)
        m.submodules.accumulators = accumulators = Accumulators(config)
        m.submodules.requantize = requantize = Requantize(
            acc_bits=config.acc_bits,
            multiplier_bits=config.multiplier_bits,
            shift_bits=config.shift_bits,
            act_bits=config.act_bits,
        )
        m.submodules.store = store = ActStore(config)

        # From updates to sums.
        connect(m, flipped(self.i), mac.i)
        connect(m, mac.read, accumulators.mac_read)
        connect(m, mac.write, accumulators.mac_write)
        m.d.comb += [
            mac.weight.eq(self.weight),
            mac.clear.eq(accumulators.clearing),
            self.busy.eq(mac.busy),
            accumulators.take.eq(self.order.enable),
            accumulators.clear.eq(self.order.clear),
            accumulators.take_row.eq(self.order.row),
            self.sum.eq(accumulators.taken),
        ]

        # From sums to activations.
        m.d.comb += [
            requantize.acc.eq(self.reduced),
            requantize.bias.eq(self.bias),
            requantize.multiplier.eq(self.settings.multiplier),
            requantize.shift.eq(self.settings.shift),
            requantize.relu.eq(self.settings.relu),
            store.drain.enable.eq(self.order.store_enable),
            store.drain.address.eq(self.order.store_address),
            store.drain.data.eq(requantize.o),
        ]
        connect(m, flipped(self.scan), store.scan)
        connect(m, flipped(self.host_read), store.host_read)
        connect(m, flipped(self.host_write), store.host_write)
        return m
