"""The shell: arrays behind AXI4-Lite and two AXI4-Streams."""

from collections.abc import Sequence

from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect

from hw.eie.array import EieArray
from hw.emit import Placed
from hw.nm.engine import NmArray
from hw.shell.axi_lite import AxiLite, axi_lite_members
from hw.shell.intake import Intake, bus_layout
from hw.shell.outlet import Outlet
from hw.shell.register_file import RegisterFile
from hw.shell.router import Router, takers
from hw.shell.supervisor import Supervisor
from hw.stream_queue import StreamQueue
from spec.config import Config
from spec.messages import WORD_BITS, number
from spec.nm.config import NmConfig
from spec.registers.table import EIE, NM

ARRAYS = {EIE: (EieArray, "eie_array"), NM: (NmArray, "nm_array")}
QUEUE_DEPTH = 2


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
        configs = self.configs
        result_bits = sum(one.lane_bits for one in configs if isinstance(one, NmConfig))
        m.submodules.axi_lite = axi_lite = AxiLite()
        m.submodules.registers = registers = RegisterFile(configs)
        m.submodules.supervisor = supervisor = Supervisor(configs)
        m.submodules.arriving = arriving = StreamQueue(bus_layout(), QUEUE_DEPTH)
        m.submodules.intake = intake = Intake(takers(configs))
        m.submodules.router = router = Router(configs)
        m.submodules.outlet = outlet = Outlet(result_bits)

        # The buses.
        for name, member in axi_lite_members().items():
            inner, outer = getattr(axi_lite.bus, name), getattr(self, f"s_axil_{name}")
            m.d.comb += inner.eq(outer) if member.flow == In else outer.eq(inner)
        m.d.comb += [
            arriving.i.payload.word.eq(self.s_axis_tdata),
            arriving.i.payload.last.eq(self.s_axis_tlast),
            arriving.i.valid.eq(self.s_axis_tvalid),
            self.s_axis_tready.eq(arriving.i.ready),
            self.m_axis_tdata.eq(outlet.o.payload.word),
            self.m_axis_tlast.eq(outlet.o.payload.last),
            self.m_axis_tvalid.eq(outlet.o.valid),
            outlet.o.ready.eq(self.m_axis_tready),
        ]

        # Registers.
        connect(m, axi_lite.o, registers.i)
        connect(m, registers.o, axi_lite.i)
        m.d.comb += [
            supervisor.pulsed.eq(registers.pulsed),
            registers.shown.eq(supervisor.shown),
            router.probe.eq(registers.probe),
            router.probing.eq(registers.probing),
            registers.probed.eq(router.probed),
            registers.counter.eq(router.counter),
            registers.refused.eq(router.refused),
        ]

        # Messages.
        connect(m, arriving.o, intake.i)
        connect(m, intake.o, router.i)
        connect(m, router.o, outlet.answers)
        for unit in (intake, router, outlet):
            m.d.comb += unit.restart.eq(supervisor.restart)
        m.d.comb += [
            supervisor.receiving.eq(intake.receiving),
            supervisor.sending.eq(outlet.sending),
            supervisor.taken.eq(router.taken),
            supervisor.own_error.eq(registers.error | intake.error),
            outlet.count.eq(registers.kept.RESULTS),
        ]
        for config in configs:
            self._place(m, config, supervisor, router, outlet)
        if any(config.engine == EIE for config in configs):
            m.d.comb += [
                router.pass_number.eq(registers.kept.EIE_PASS),
                router.pe.eq(registers.kept.EIE_PE),
            ]
        return m

    def _place(
        self, m: Module, config: Config, supervisor: Supervisor, router: Router, outlet: Outlet
    ) -> None:
        """An array, its streams, and its start and end."""
        make, module = ARRAYS[config.engine]
        own, streams = number(config.engine), getattr(router, config.engine)
        array = Placed(make(config), module, supervisor.restart)
        m.submodules[config.engine] = array
        connect(m, streams.write, array.write)
        connect(m, streams.read, array.read)
        connect(m, array.data, streams.data)
        m.d.comb += [
            array.start.eq(supervisor.start[own]),
            supervisor.busy[own].eq(array.busy),
            supervisor.errors[own].eq(array.error),
            streams.busy.eq(array.busy),
        ]
        if config.engine == NM:
            connect(m, streams.load, array.i)
            connect(m, array.o, outlet.results)
            m.d.comb += [
                outlet.first.eq(supervisor.start[own]),
                router.first.eq(supervisor.start[own]),
            ]
