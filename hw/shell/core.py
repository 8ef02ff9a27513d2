"""The core of a shell: arrays behind accesses to registers and two streams of words."""

from collections.abc import Sequence

from amaranth import Module, Mux, ResetInserter, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.shell.held import Held
from hw.shell.intake import Intake, bus_layout
from hw.shell.outlet import Outlet
from hw.shell.register_file import RegisterFile, access_layout, outcome_layout
from hw.shell.router import Router, takers
from hw.shell.supervisor import Supervisor
from hw.stream_queue import StreamQueue
from spec.config import Config
from spec.messages import number
from spec.nm.config import NmConfig
from spec.registers.table import BITS, EIE, NM

QUEUE_DEPTH = 2


class Core(wiring.Component):
    """Everything but the link.

    Parameters
    ----------
    configs : sequence of EieConfig and NmConfig
        One engine, or one of each.

    Members
    -------
    access : stream of accesses to registers
    outcome : stream of what came of them
    i : stream of words of messages
    o : stream of words that come back
    restart : Out
        Everything but the registers begins anew.
    busy, error : Out
        An array runs; there is an error.
    dropped : In
        Frames that the link dropped.
    """

    def __init__(self, configs: Sequence[Config]):
        self.configs = list(configs)
        super().__init__(
            {
                "access": In(stream.Signature(access_layout())),
                "outcome": Out(stream.Signature(outcome_layout())),
                "i": In(stream.Signature(bus_layout())),
                "o": Out(stream.Signature(bus_layout())),
                "restart": Out(1),
                "busy": Out(1),
                "error": Out(1),
                "dropped": In(BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        configs = self.configs
        result_bits = sum(one.lane_bits for one in configs if isinstance(one, NmConfig))
        m.submodules.registers = registers = RegisterFile(configs)
        m.submodules.supervisor = supervisor = Supervisor(configs)
        arriving = StreamQueue(bus_layout(), QUEUE_DEPTH)
        m.submodules.arriving = ResetInserter(supervisor.restart)(arriving)
        m.submodules.intake = intake = Intake(takers(configs))
        m.submodules.router = router = Router(configs)
        m.submodules.outlet = outlet = Outlet(result_bits)

        # Registers.
        connect(m, flipped(self.access), registers.i)
        connect(m, registers.o, flipped(self.outcome))
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
        connect(m, flipped(self.i), arriving.i)
        connect(m, arriving.o, intake.i)
        connect(m, intake.o, router.i)
        connect(m, router.o, outlet.answers)
        connect(m, outlet.o, flipped(self.o))
        cut, comes = Signal(), Signal()
        with m.If(comes):
            m.d.sync += cut.eq(~self.i.payload.last)
        m.d.comb += [
            comes.eq(self.i.valid & self.i.ready),
            intake.cut.eq(Mux(comes, ~self.i.payload.last, cut)),
        ]
        for unit in (intake, router, outlet):
            m.d.comb += unit.restart.eq(supervisor.restart)
        m.d.comb += [
            supervisor.receiving.eq(intake.receiving),
            supervisor.sending.eq(outlet.sending),
            supervisor.dropped.eq(self.dropped),
            supervisor.own_error.eq(registers.error | intake.error),
            outlet.count.eq(registers.kept.RESULTS),
            self.restart.eq(supervisor.restart),
            self.busy.eq(supervisor.busy.any()),
            self.error.eq(supervisor.shown.ERROR != 0),
        ]
        for config in configs:
            self._place(m, config, registers, supervisor, router, outlet)
        if any(config.engine == EIE for config in configs):
            m.d.comb += [
                router.pass_number.eq(registers.kept.EIE_PASS),
                router.pe.eq(registers.kept.EIE_PE),
            ]
        return m

    def _place(
        self,
        m: Module,
        config: Config,
        registers: RegisterFile,
        supervisor: Supervisor,
        router: Router,
        outlet: Outlet,
    ) -> None:
        """An array, its streams, and its start and end."""
        own, streams = number(config.engine), getattr(router, config.engine)
        m.submodules[config.engine] = array = Held(config)
        connect(m, streams.write, array.write)
        connect(m, streams.read, array.read)
        connect(m, array.data, streams.data)
        m.d.comb += [
            array.start.eq(supervisor.start[own]),
            array.restart.eq(supervisor.restart),
            array.feed.eq(registers.kept.FEED),
            supervisor.busy[own].eq(array.busy),
            supervisor.moves[own].eq(array.moves),
            supervisor.errors[own].eq(array.error),
            streams.busy.eq(array.busy),
        ]
        if config.engine == NM:
            connect(m, streams.load, array.i)
            connect(m, array.o, outlet.results)
            m.d.comb += [
                outlet.first.eq(supervisor.first[own]),
                supervisor.taken.eq(array.taken),
            ]
