"""The EIE array: PEs, non-zero detection, scans, reduction, central control and the host's port,
wired together."""

from amaranth import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.eie.central_control import CentralControl
from hw.eie.division import Division
from hw.eie.host_port import HostPort
from hw.eie.lnzd import Lnzd
from hw.eie.pe import ProcessingElement
from hw.eie.reduce import Reduce
from hw.eie.row import Row
from hw.eie.scan import Scan
from hw.emit import Placed
from hw.streams import host_streams
from spec.eie.config import EieConfig
from spec.eie.iomap import ERROR_BITS, read_fields, write_fields


class EieArray(wiring.Component):
    """Multiplies sparse matrices with sparse vectors, layer after layer.

    Load the memories (:mod:`spec.eie.iomap`) and the activations in I/O mode, pulse ``start``, wait
    until ``busy`` falls, read activations and counters. :mod:`spec.eie.cycles` says how long that
    takes.

    Members
    -------
    write, read, data : streams of the host
    start : In
        A pulse of one cycle. Held, it is a start in every cycle: all but the first are errors.
    busy : Out
        A run is going on, or the accumulators are being cleared after reset.
    error : Out
        :class:`spec.eie.iomap.Error`.
    """

    def __init__(self, config: EieConfig):
        self.config = config
        super().__init__(
            host_streams(write_fields(config), read_fields(config))
            | {"start": In(1), "busy": Out(1), "error": Out(ERROR_BITS)}
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        m.submodules.control = control = CentralControl(config)
        m.submodules.division = division = Division(config)
        m.submodules.reduce = reduce = Reduce(config)
        m.submodules.host = host = HostPort(config)
        pes = [Placed(ProcessingElement(config), "eie_pe") for _ in range(config.pes)]
        scans = [Placed(Scan(config), "eie_scan") for _ in range(config.clusters)]
        rows = [Placed(Row(config), "eie_row") for _ in range(config.clusters)]
        trees = [Placed(Lnzd(config), "eie_lnzd") for _ in range(config.clusters)]
        for name, units in (("pe", pes), ("scan", scans), ("row", rows), ("lnzd", trees)):
            for number, unit in enumerate(units):
                m.submodules[f"{name}{number}"] = unit

        # The host.
        connect(m, flipped(self.write), host.write)
        connect(m, flipped(self.read), host.read)
        connect(m, host.data, flipped(self.data))
        connect(m, host.control, control.host)
        m.d.comb += [
            host.open.eq(control.host_ready),
            control.wrote.eq(host.wrote),
            control.start.eq(self.start),
            self.busy.eq(control.busy),
            self.error.eq(control.error),
        ]

        # Find non-zero activations in each sector, and the first one of each cluster.
        m.d.comb += division.settings.eq(control.settings)
        for sector, (scan, tree) in enumerate(zip(scans, trees, strict=True)):
            self._connect_scan(m, sector, scan, rows[sector], tree, control, division)

        # Broadcast to all PEs of a cluster at once, when all have room.
        for sector in range(config.clusters):
            members = pes[sector * config.sector_pes : (sector + 1) * config.sector_pes]
            m.d.comb += division.places[sector].eq(Cat(pe.broadcast.ready for pe in members).all())
            for place, pe in enumerate(members):
                self._connect_pe(m, pe, scans[sector], control)
                m.d.comb += [
                    rows[sector].acts[place].eq(pe.scan.data),
                    pe.drain.store_enable.eq(reduce.stores[sector]),
                ]

        self._connect_drain(m, control, reduce, pes)
        for number, pe in enumerate(pes):
            connect(m, host.pes[number], pe.host)

        # Tell central control how it goes.
        m.d.comb += [
            control.scanning.eq(Cat(scan.active for scan in scans).any()),
            control.scan_error.eq(Cat(scan.error for scan in scans).any()),
            control.broadcasts.eq(division.broadcasts),
            control.stalls.eq(division.stalls),
            control.idle.eq(Cat(pe.idle for pe in pes).all()),
            control.row_error.eq(Cat(pe.row_error for pe in pes).any()),
            control.pointer_error.eq(Cat(pe.pointer_error for pe in pes).any()),
        ]
        return m

    def _connect_scan(
        self, m: Module, sector: int, scan, row, tree, control: CentralControl, division: Division
    ) -> None:
        """Find the non-zero activations of a sector, and the first one of its cluster."""
        m.d.comb += [
            row.advance.eq(scan.advance),
            row.mark.eq(scan.mark),
            row.own_pe.eq(tree.o.pe),
            tree.pending.eq(row.pending),
            *(act.eq(mine) for act, mine in zip(tree.acts, row.o, strict=True)),
            tree.beyond.eq(scan.beyond),
            division.candidates[sector].eq(tree.o),
            division.offered[sector].eq(scan.o.valid),
            scan.launch.eq(control.begin),
            scan.settings.eq(control.settings),
            scan.half.eq(control.half),
            scan.first_pe.eq(division.first_pe[sector]),
            scan.base.eq(sector * self.config.sector_pes - division.first_pe[sector]),
            scan.candidate.eq(division.picked[sector]),
            scan.mine.eq(division.mine[sector]),
            scan.own_pe.eq(tree.o.pe),
            scan.o.ready.eq(division.room[sector]),
        ]

    def _connect_drain(self, m: Module, control: CentralControl, reduce: Reduce, pes: list) -> None:
        """Drain all PEs at once, over the clusters."""
        m.d.comb += [
            reduce.settings.eq(control.settings),
            reduce.enable.eq(control.reducing),
            reduce.store_enable.eq(control.drain.store_enable),
            reduce.store_row.eq(control.store_row),
        ]
        for number, pe in enumerate(pes):
            m.d.comb += [reduce.i[number].eq(pe.sums), pe.reduced.eq(reduce.o[number])]

    def _connect_pe(self, m: Module, pe, scan, control: CentralControl) -> None:
        """What a PE hears from its sector's scan and from central control."""
        m.d.comb += [
            pe.broadcast.valid.eq(scan.o.valid & scan.o.ready),
            pe.broadcast.payload.eq(scan.o.payload),
            pe.offered.eq(scan.o.valid),
            pe.scan.enable.eq(scan.row_enable),
            pe.scan.address.eq(scan.row_address),
            pe.settings.eq(control.settings),
            pe.phase.scanning.eq(scan.active),
            pe.phase.computing.eq(control.phase.computing),
            pe.phase.save.eq(control.phase.save),
            pe.phase.saved_pass.eq(control.phase.saved_pass),
        ]
        for name in control.drain.signature.members:
            if name != "store_enable":  # reduce says which sectors store
                m.d.comb += getattr(pe.drain, name).eq(getattr(control.drain, name))
