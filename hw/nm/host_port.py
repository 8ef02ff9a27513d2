"""Host port: takes the host's writes of the descriptor, and answers its reads of counters."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.nm.payloads import host_signature
from spec.nm.config import IO_DATA_BITS, NmConfig
from spec.nm.iomap import Memory, address_bits


class HostPort(wiring.Component):
    """Takes a write in every cycle, and a read in every second one, while no run goes on.

    Attributes
    ----------
    latency : int
        Cycles from a request on ``read`` to its answer on ``data``: 2.

    Members
    -------
    write, read : streams of requests
    data : stream of answers, in order
    busy : In
        A run goes on: requests wait.
    write_enable, write_address, write_data : Out
        A word of the descriptor.
    read_enable, read_address : Out
        A counter, and in the next cycle
    counter : In
    """

    latency = 2

    def __init__(self, config: NmConfig):
        self.config = config
        super().__init__(
            host_signature(config)
            | {
                "busy": In(1),
                "write_enable": Out(1),
                "write_address": Out(address_bits(config)),
                "write_data": Out(IO_DATA_BITS),
                "read_enable": Out(1),
                "read_address": Out(address_bits(config)),
                "counter": In(config.counter_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        write, read = self.write.payload, self.read.payload
        asked = Signal()
        answered = Signal()
        has_counter = Signal()

        # Take a write.
        m.d.comb += [
            self.write.ready.eq(~self.busy),
            self.write_enable.eq(
                self.write.valid & self.write.ready & (write.memory == Memory.DESCRIPTOR)
            ),
            self.write_address.eq(write.address),
            self.write_data.eq(write.data),
        ]

        # Take a read when the answer before has somewhere to go.
        m.d.comb += [
            self.read.ready.eq(~self.busy & ~asked & (~answered | self.data.ready)),
            self.read_enable.eq(self.read.valid & self.read.ready),
            self.read_address.eq(read.address),
        ]
        m.d.sync += [asked.eq(self.read_enable), has_counter.eq(read.memory == Memory.COUNTERS)]

        # Answer; there is nothing to read but counters.
        m.d.comb += self.data.valid.eq(answered)
        with m.If(asked):
            m.d.sync += [
                answered.eq(1),
                self.data.payload.eq(self.counter & has_counter.replicate(len(self.counter))),
            ]
        with m.Elif(self.data.ready):
            m.d.sync += answered.eq(0)
        return m
