"""Host port: takes the host's writes of the descriptor, and answers its reads of counters."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.answers import Answers, latency_of
from hw.nm.payloads import host_signature
from spec.config import IO_DATA_BITS
from spec.nm.config import NmConfig
from spec.nm.iomap import Memory, address_bits


class HostPort(wiring.Component):
    """Takes a write in every cycle, and a read when the answer before is taken, while no run
    goes on.

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

    latency = latency_of()

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
        m.submodules.answers = answers = Answers()
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

        # Take a read.
        m.d.comb += [
            answers.valid.eq(self.read.valid & ~self.busy),
            self.read.ready.eq(answers.ready & ~self.busy),
            self.read_enable.eq(answers.asks),
            self.read_address.eq(read.address),
        ]

        # Answer; there is nothing to read but counters.
        m.d.sync += has_counter.eq(read.memory == Memory.COUNTERS)
        m.d.comb += answers.answer.eq(self.counter & has_counter.replicate(len(self.counter)))
        connect(m, answers.data, flipped(self.data))
        return m
