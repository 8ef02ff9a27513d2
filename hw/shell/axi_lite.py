"""AXI4-Lite: a subordinate's five channels on one side, accesses to registers on the other."""

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.shell.register_file import access_layout, outcome_layout
from spec.registers.table import ADDRESS_BITS, BITS, BYTES

OKAY, SLVERR = 0, 2
PROT_BITS = 3
RESP_BITS = 2


def axi_lite_members() -> dict[str, wiring.Member]:
    """The channels of AXI4-Lite, as a subordinate has them, by their names in the standard."""
    return {
        "awaddr": In(ADDRESS_BITS),
        "awprot": In(PROT_BITS),
        "awvalid": In(1),
        "awready": Out(1),
        "wdata": In(BITS),
        "wstrb": In(BYTES),
        "wvalid": In(1),
        "wready": Out(1),
        "bresp": Out(RESP_BITS),
        "bvalid": Out(1),
        "bready": In(1),
        "araddr": In(ADDRESS_BITS),
        "arprot": In(PROT_BITS),
        "arvalid": In(1),
        "arready": Out(1),
        "rdata": Out(BITS),
        "rresp": Out(RESP_BITS),
        "rvalid": Out(1),
        "rready": In(1),
    }


class AxiLite(wiring.Component):
    """Does one access at a time; when both wait, reads and writes take turns.

    All that it tells the manager comes from registers, but ``ready``, which answers a ``valid``. A
    write begins when address and data are both there. What failed is answered with SLVERR.

    Members
    -------
    bus : the channels
    o : stream of accesses
    i : stream of what came of them
    """

    def __init__(self):
        super().__init__(
            {
                "bus": Out(wiring.Signature(axi_lite_members())),
                "o": Out(stream.Signature(access_layout())),
                "i": In(stream.Signature(outcome_layout())),
            }
        )

    def elaborate(self, platform):
        m = Module()
        bus, access, outcome = self.bus, self.o.payload, self.i.payload
        wants_write, takes_read, takes_write = Signal(), Signal(), Signal()
        read_last = Signal()

        # Take a read, or a write that is there as a whole.
        m.d.comb += [
            wants_write.eq(bus.awvalid & bus.wvalid),
            bus.arready.eq(takes_read),
            bus.awready.eq(takes_write),
            bus.wready.eq(takes_write),
        ]
        with m.FSM(name="access"):
            with m.State("IDLE"):
                m.d.comb += [
                    takes_read.eq(bus.arvalid & ~(wants_write & read_last)),
                    takes_write.eq(wants_write & ~takes_read),
                ]
                with m.If(takes_read):
                    m.d.sync += [access.address.eq(bus.araddr), access.strobe.eq(0)]
                with m.Else():
                    m.d.sync += [access.address.eq(bus.awaddr), access.strobe.eq(bus.wstrb)]
                m.d.sync += [access.write.eq(takes_write), access.data.eq(bus.wdata)]
                with m.If(takes_read | takes_write):
                    m.d.sync += [self.o.valid.eq(1), read_last.eq(takes_read)]
                    m.next = "ACCESS"

            # Hand it on, and wait for what comes of it.
            with m.State("ACCESS"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.o.ready):
                    m.d.sync += self.o.valid.eq(0)
                with m.If(self.i.valid):
                    m.d.sync += [
                        bus.rvalid.eq(~access.write),
                        bus.bvalid.eq(access.write),
                        bus.rdata.eq(outcome.data),
                    ]
                    for response in (bus.rresp, bus.bresp):
                        with m.If(outcome.failed):
                            m.d.sync += response.eq(SLVERR)
                        with m.Else():
                            m.d.sync += response.eq(OKAY)
                    m.next = "RESPOND"

            # Answer.
            with m.State("RESPOND"):
                with m.If(bus.rready):
                    m.d.sync += bus.rvalid.eq(0)
                with m.If(bus.bready):
                    m.d.sync += bus.bvalid.eq(0)
                with m.If((bus.rvalid & bus.rready) | (bus.bvalid & bus.bready)):
                    m.next = "IDLE"
        return m
