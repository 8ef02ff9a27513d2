"""MAC: multiplies, and adds to a row's accumulator, with forwarding between neighbours."""

from amaranth import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.eie.payloads import MemoryRead, MemoryWrite, lane_update_layout
from hw.streams import steady
from spec.eie.config import EieConfig


class Mac(wiring.Component):
    """Multiply in the first cycle, add and write in the second.

    The accumulator is read while the product is made. The update just before is written at the edge
    at which this one reads, so the memory does not give the new sum: if both are of one row, the
    sum is forwarded. That is the only distance at which it can happen. The sum is exact; the
    compiler has proved that it fits.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to the write: 1.

    Members
    -------
    i : stream of updates of one lane, from row accumulate
    weight : In
        The update's weight, from weight decode.
    clear : In
        Give a zero to write; there is no update.
    busy : Out
        A sum is written in this cycle.
    read, write : ports of the accumulators
    """

    latency = 1

    def __init__(self, config: EieConfig):
        self.config = config
        super().__init__(
            {
                "i": In(steady(lane_update_layout(config))),
                "weight": In(signed(config.weight_bits)),
                "clear": In(1),
                "busy": Out(1),
                "read": Out(MemoryRead(config.row_bits, signed(config.acc_bits))),
                "write": Out(MemoryWrite(config.row_bits, signed(config.acc_bits))),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        product = Signal(signed(config.act_bits + config.weight_bits))
        row = Signal(config.row_bits)
        forward = Signal()
        sum_before = Signal(signed(config.acc_bits))
        base = Signal(signed(config.acc_bits))

        # Multiply, and read the accumulator. Without an update the product is zero.
        m.d.comb += [self.read.enable.eq(self.i.valid), self.read.address.eq(self.i.payload.row)]
        m.d.sync += [
            self.busy.eq(self.i.valid),
            product.eq(Mux(self.i.valid, self.weight * self.i.payload.value, 0)),
            row.eq(self.i.payload.row),
            forward.eq(self.busy & (row == self.i.payload.row)),
        ]

        # Add and write.
        m.d.comb += [
            base.eq(Mux(self.clear, 0, Mux(forward, sum_before, self.read.data))),
            self.write.enable.eq(self.busy),
            self.write.address.eq(row),
            self.write.data.eq(base + product),
        ]
        m.d.sync += sum_before.eq(self.write.data)
        return m
