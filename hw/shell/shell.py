"""The shell: arrays behind AXI4-Lite and two AXI4-Streams."""

from collections.abc import Sequence

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from hw.shell.axi_lite import AxiLite, axi_lite_members
from hw.shell.core import Core
from spec.config import Config
from spec.messages import WORD_BITS


class Shell(wiring.Component):
    """Registers by AXI4-Lite, messages by AXI4-Stream (:mod:`spec.messages`).

    Parameters
    ----------
    configs : sequence of EieConfig and NmConfig
        One engine, or one of each.

    Members
    -------
    s_axil_* : AXI4-Lite
    s_axis_* : AXI4-Stream, in
    m_axis_* : AXI4-Stream, out
    """

    def __init__(self, configs: Sequence[Config]):
        self.configs = list(configs)
        lite = {f"s_axil_{name}": member for name, member in axi_lite_members().items()}
        super().__init__(
            lite
            | {
                "s_axis_tdata": In(WORD_BITS),
                "s_axis_tlast": In(1),
                "s_axis_tvalid": In(1),
                "s_axis_tready": Out(1),
                "m_axis_tdata": Out(WORD_BITS),
                "m_axis_tlast": Out(1),
                "m_axis_tvalid": Out(1),
                "m_axis_tready": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.axi_lite = axi_lite = AxiLite()
        m.submodules.core = core = Core(self.configs)

        # Registers.
        connect(m, axi_lite.o, core.access)
        connect(m, core.outcome, axi_lite.i)
        for name, member in axi_lite_members().items():
            inner, outer = getattr(axi_lite.bus, name), getattr(self, f"s_axil_{name}")
            m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)

        # Messages.
        m.d.comb += [
            core.i.payload.word.eq(self.s_axis_tdata),
            core.i.payload.last.eq(self.s_axis_tlast),
            core.i.valid.eq(self.s_axis_tvalid),
            self.s_axis_tready.eq(core.i.ready),
            self.m_axis_tdata.eq(core.o.payload.word),
            self.m_axis_tlast.eq(core.o.payload.last),
            self.m_axis_tvalid.eq(core.o.valid),
            core.o.ready.eq(self.m_axis_tready),
        ]
        return m
