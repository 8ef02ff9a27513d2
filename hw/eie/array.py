"""The EIE array: PEs, non-zero detection, scans, reduction, central control and the host's port,
wired together."""

from functools import reduce as fold
from typing import Any, NamedTuple

from amaranth import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.eie.broadcast import Broadcast
from hw.eie.central_control import CentralControl
from hw.eie.division import Division
from hw.eie.host_port import HostPort
from hw.eie.lnzd import Lnzd
from hw.eie.reduce import Reduce
from hw.eie.registered_pe import processing_element
from hw.eie.row import Row
from hw.eie.rows_ahead import RowsAhead
from hw.eie.scan import Scan
from hw.eie.station import Station, station_pes
from hw.emit import Placed
from hw.streams import host_streams
from spec.eie.config import EieConfig
from spec.eie.descriptor import element_fields
from spec.eie.iomap import ERROR_BITS, read_fields, write_fields

Told = dict[tuple[str, ...], Any]
"""What PEs hear, by the path of their port."""


class Sector(NamedTuple):
    """A sector's PEs, and what finds their columns."""

    number: int
    scan: Placed
    row: Placed
    told: Told
    pes: list[Placed]


class Ways(NamedTuple):
    """What lies between a sector's scan and its PEs: whether columns are on their way, and over
    which stations, if it is far; and who tells of errors."""

    in_flight: list[Value]
    stations: list[Placed]
    tell: list[Placed]


class EieArray(wiring.Component):
    """Multiplies sparse matrices with sparse vectors, layer after layer.

    Load the memories (:mod:`spec.eie.iomap`) and the activations in I/O mode, pulse ``start``, wait
    until ``busy`` falls, read activations and counters. :mod:`spec.eie.cycles` says how long that
    takes.

    Members
    -------
    write, read, data : streams of the host
    start : In
        A pulse of one cycle, behind the last write's. Held, it is a start in every cycle: all but
        the first are errors.
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
        pes = [Placed(processing_element(config), "eie_pe") for _ in range(config.pes)]
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
        connect_sector = self._connect_far if config.pe_registers else self._connect_near
        ways = []
        for number, (scan, row) in enumerate(zip(scans, rows, strict=True)):
            told = self._told(scan, control, reduce.stores[number])
            members = pes[number * config.sector_pes :][: config.sector_pes]
            ways.append(connect_sector(m, division, Sector(number, scan, row, told, members)))

        self._connect_drain(m, control, reduce, pes)
        self._connect_host(m, host, pes, [station for way in ways for station in way.stations])

        self._tell(m, control, division, scans, pes, ways)
        return m

    def _tell(
        self,
        m: Module,
        control: CentralControl,
        division: Division,
        scans: list,
        pes: list,
        ways: list[Ways],
    ) -> None:
        """Tell central control how it goes."""
        tell = [one for way in ways for one in way.tell]
        m.d.comb += [
            control.scanning.eq(
                Cat(
                    *(scan.active for scan in scans),
                    *(one for way in ways for one in way.in_flight),
                ).any()
            ),
            control.scan_error.eq(Cat(scan.error for scan in scans).any()),
            control.broadcasts.eq(division.broadcasts),
            control.stalls.eq(division.stalls),
            control.idle.eq(Cat(pe.idle for pe in pes).all()),
            control.row_error.eq(Cat(one.row_error for one in tell).any()),
            control.pointer_error.eq(Cat(one.pointer_error for one in tell).any()),
        ]

    def _connect_scan(
        self, m: Module, sector: int, scan, row, tree, control: CentralControl, division: Division
    ) -> None:
        """Find the non-zero activations of a sector, and the first one of its cluster."""
        m.d.comb += [
            row.advance.eq(scan.advance),
            row.mark.eq(scan.mark),
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
            division.counts[sector].eq(row.count),
            division.coming[sector].eq(row.coming),
            scan.count.eq(division.count_in_all[sector]),
            scan.coming.eq(division.coming_in_all[sector]),
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

    def _connect_near(self, m: Module, division: Division, sector: Sector) -> Ways:
        """Broadcast a sector's columns, and look at its rows, in the same cycle."""
        ready = Cat(pe.broadcast.ready for pe in sector.pes)
        m.d.comb += [
            division.places[sector.number].eq(ready.all()),
            sector.row.nonzero.eq(Cat(act.as_value().any() for act in sector.row.acts)),
        ]
        for pe, act in zip(sector.pes, sector.row.acts, strict=True):
            m.d.comb += [
                *(port_of(pe, path).eq(value) for path, value in sector.told.items()),
                act.eq(pe.scan.data),
            ]
        return Ways([], [], sector.pes)

    def _connect_far(self, m: Module, division: Division, sector: Sector) -> Ways:
        """The same over registers."""
        number, scan, row, told, pes = sector
        count = station_pes(self.config)
        broadcast = Placed(Broadcast(len(pes) // count), "eie_broadcast")
        ahead = Placed(RowsAhead(self.config), "eie_rows_ahead")
        m.submodules[f"broadcast{number}"] = broadcast
        m.submodules[f"ahead{number}"] = ahead
        m.d.comb += [
            broadcast.goes.eq(scan.o.valid & scan.o.ready),
            division.places[number].eq(broadcast.place),
            ahead.launch.eq(scan.launch),
            ahead.active.eq(scan.active),
            ahead.take.eq(scan.advance),
            scan.row_asked.eq(ahead.asks),
            scan.row_there.eq(ahead.valid),
            row.nonzero.eq(ahead.nonzero),
        ]
        told = told | {("unseen",): broadcast.unseen}
        stations = []
        for at, room in enumerate(broadcast.room):
            station = Placed(Station(self.config), "eie_station")
            stations.append(station)
            m.submodules[f"station{number}_{at}"] = station
            self._connect_station(m, station, told, pes[at * count :][:count])
            m.d.comb += room.eq(station.common)
        for place, pe in enumerate(pes):
            m.d.comb += [
                ahead.acts[place].eq(pe.scan.data),
                row.acts[place].eq(ahead.o[place]),
            ]
        return Ways([broadcast.in_flight], stations, stations)

    def _connect_station(self, m: Module, station, told: Told, pes: list) -> None:
        """Between what its PEs hear and these."""
        for path, value in told.items():
            name = "__".join(path)
            m.d.comb += getattr(station.i, name).eq(value)
            m.d.comb += [port_of(pe, path).eq(getattr(station.o, name)) for pe in pes]
        m.d.comb += [
            *(room.eq(pe.room) for room, pe in zip(station.room, pes, strict=True)),
            station.row_errors.eq(Cat(pe.row_error for pe in pes)),
            station.pointer_errors.eq(Cat(pe.pointer_error for pe in pes)),
        ]

    def _told(self, scan, control: CentralControl, stores: Signal) -> Told:
        """What the PEs of a sector hear from their scan and from central control."""
        told = {
            ("broadcast", "valid"): scan.o.valid & scan.o.ready,
            ("broadcast", "payload"): scan.o.payload,
            ("offered",): scan.o.valid,
            ("scan", "enable"): scan.row_enable,
            ("scan", "address"): scan.row_address,
            ("settings",): Cat(
                getattr(control.settings, name) for name in element_fields(self.config)
            ),
            ("phase", "scanning"): scan.active,
            ("drain", "store_enable"): stores,  # reduce says which sectors store
        }
        for bundle, own in (("phase", "scanning"), ("drain", "store_enable")):
            ports = getattr(control, bundle)
            for name in ports.signature.members:
                if name != own:
                    told[bundle, name] = getattr(ports, name)
        return told

    def _connect_host(self, m: Module, host: HostPort, pes: list, stations: list) -> None:
        """The host's access to every PE, over its station if there are such."""
        if not stations:
            for access, pe in zip(host.pes, pes, strict=True):
                connect(m, access, pe.host)
            return
        count = len(pes) // len(stations)
        for number, (access, pe) in enumerate(zip(host.pes, pes, strict=True)):
            station, place = stations[number // count], number % count
            m.d.comb += [
                station.host[place].eq(Cat(access.write_enable, access.read_enable)),
                Cat(pe.host.write_enable, pe.host.read_enable).eq(station.host_o[place]),
                station.answers[place].eq(pe.host.answer),
            ]
            for name in ("memory", "address", "data"):
                m.d.comb += getattr(pe.host, name).eq(getattr(station.o, f"host__{name}"))
                if place == 0:  # the host says the same to all
                    m.d.comb += getattr(station.i, f"host__{name}").eq(getattr(access, name))
            if place == 0:  # for all of them, of which one at most was asked
                m.d.comb += access.answer.eq(station.answer)


def port_of(pe: wiring.Component, path: tuple[str, ...]) -> Any:
    """A port by its path."""
    return fold(getattr, path, pe)
