"""The emitted shell in a LiteX system: registers on the system's bus, streams by two DMAs.

    python -m hw.build --shell axi --pes 64        # build/axi-eie-64/

and in a target of yours, which is a ``SoCCore``:

    add_skipstone(self, "build/axi-eie-64")

LiteX then has ``SKIPSTONE_BASE`` in ``generated/mem.h``, which ``registers/skipstone_access.h`` of
the build takes, and the registers of both DMAs in ``generated/csr.h``.
"""

from pathlib import Path

from litex.gen import LiteXModule
from litex.soc.cores.dma import WishboneDMAReader, WishboneDMAWriter
from litex.soc.integration.soc import SoCRegion
from litex.soc.interconnect import axi, stream, wishbone
from migen import ClockSignal, Instance, ResetSignal

WORD_BITS = 32
REGISTERS_BYTES = 0x1000


class Skipstone(LiteXModule):
    """The shell: ``bus`` for registers, ``sink`` for messages, ``source`` for what comes back."""

    def __init__(self, platform, build):
        self.bus = bus = axi.AXILiteInterface(data_width=WORD_BITS, address_width=WORD_BITS)
        self.sink = sink = stream.Endpoint([("data", WORD_BITS)])
        self.source = source = stream.Endpoint([("data", WORD_BITS)])
        self.specials += Instance(
            "skipstone_axi",
            i_clk=ClockSignal(),
            i_rst=ResetSignal(),
            i_s_axil_awaddr=bus.aw.addr[:12],
            i_s_axil_awprot=0,
            i_s_axil_awvalid=bus.aw.valid,
            o_s_axil_awready=bus.aw.ready,
            i_s_axil_wdata=bus.w.data,
            i_s_axil_wstrb=bus.w.strb,
            i_s_axil_wvalid=bus.w.valid,
            o_s_axil_wready=bus.w.ready,
            o_s_axil_bresp=bus.b.resp,
            o_s_axil_bvalid=bus.b.valid,
            i_s_axil_bready=bus.b.ready,
            i_s_axil_araddr=bus.ar.addr[:12],
            i_s_axil_arprot=0,
            i_s_axil_arvalid=bus.ar.valid,
            o_s_axil_arready=bus.ar.ready,
            o_s_axil_rdata=bus.r.data,
            o_s_axil_rresp=bus.r.resp,
            o_s_axil_rvalid=bus.r.valid,
            i_s_axil_rready=bus.r.ready,
            i_s_axis_tdata=sink.data,
            i_s_axis_tlast=sink.last,
            i_s_axis_tvalid=sink.valid,
            o_s_axis_tready=sink.ready,
            o_m_axis_tdata=source.data,
            o_m_axis_tlast=source.last,
            o_m_axis_tvalid=source.valid,
            i_m_axis_tready=source.ready,
        )
        for file in sorted(Path(build, "rtl").glob("*.v")):
            platform.add_source(str(file))


def add_skipstone(soc, build):
    """The shell and its DMAs, on the bus of a system.

    Words go as they are: what LiteX calls "little" would turn round their bytes. The writer drops
    words until it is enabled, so enable it before the reader sends what has an answer.
    """
    soc.skipstone = core = Skipstone(soc.platform, build)
    soc.bus.add_slave("skipstone", core.bus, SoCRegion(size=REGISTERS_BYTES, cached=False))
    for name, make in (("reader", WishboneDMAReader), ("writer", WishboneDMAWriter)):
        bus = wishbone.Interface(data_width=WORD_BITS, address_width=soc.bus.address_width)
        dma = make(bus, endianness="big", with_csr=True)
        setattr(soc, f"skipstone_{name}", dma)
        soc.bus.add_master(f"skipstone_{name}", master=bus)
    soc.comb += [
        soc.skipstone_reader.source.connect(core.sink),
        core.source.connect(soc.skipstone_writer.sink),
    ]
