"""The EIE array: PEs, non-zero detection, scan, central control and the host's port, wired
together."""

from amaranth import Cat, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.eie.central_control import CentralControl
from hw.eie.host_port import HostPort
from hw.eie.lnzd import Lnzd
from hw.eie.payloads import read_layout, write_layout
from hw.eie.pe import ProcessingElement
from hw.eie.scan import Scan
from hw.emit import Placed
from spec.eie.config import IO_DATA_BITS, EieConfig
from spec.eie.iomap import ERROR_BITS


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
            {
                "write": In(stream.Signature(write_layout(config))),
                "read": In(stream.Signature(read_layout(config))),
                "data": Out(stream.Signature(IO_DATA_BITS)),
                "start": In(1),
                "busy": Out(1),
                "error": Out(ERROR_BITS),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        m.submodules.control = control = CentralControl(config)
        m.submodules.scan = scan = Scan(config)
        m.submodules.lnzd = lnzd = Lnzd(config)
        m.submodules.host = host = HostPort(config)
        pes = [Placed(ProcessingElement(config), "eie_pe") for _ in range(config.pes)]
        for number, pe in enumerate(pes):
            m.submodules[f"pe{number}"] = pe

        # The host.
        connect(m, flipped(self.write), host.write)
        connect(m, flipped(self.read), host.read)
        connect(m, host.data, flipped(self.data))
        connect(m, host.control, control.host)
        m.d.comb += [
            host.open.eq(control.host_ready),
            control.start.eq(self.start),
            self.busy.eq(control.busy),
            self.error.eq(control.error),
        ]

        # Find non-zero activations.
        m.d.comb += [
            scan.begin.eq(control.begin),
            scan.settings.eq(control.settings),
            scan.half.eq(control.half),
            scan.candidate.eq(lnzd.o),
            lnzd.pending.eq(scan.pending),
        ]

        # Broadcast to all PEs at once, when all have room.
        m.d.comb += scan.o.ready.eq(Cat(pe.broadcast.ready for pe in pes).all())
        for number, pe in enumerate(pes):
            m.d.comb += [
                pe.broadcast.valid.eq(scan.o.valid & scan.o.ready),
                pe.broadcast.payload.eq(scan.o.payload),
                pe.offered.eq(scan.o.valid),
                pe.scan.enable.eq(scan.row_enable),
                pe.scan.address.eq(scan.row_address),
                lnzd.acts[number].eq(pe.scan.data),
                pe.settings.eq(control.settings),
                pe.phase.scanning.eq(control.phase.scanning),
                pe.phase.computing.eq(control.phase.computing),
                pe.phase.save.eq(control.phase.save),
                pe.phase.saved_pass.eq(control.phase.saved_pass),
            ]
            for name in control.drain.signature.members:
                m.d.comb += getattr(pe.drain, name).eq(getattr(control.drain, name))
            connect(m, host.pes[number], pe.host)

        # Tell central control how it goes.
        m.d.comb += [
            control.scanning.eq(scan.active),
            control.scan_error.eq(scan.error),
            control.offered.eq(scan.o.valid),
            control.sent.eq(scan.o.valid & scan.o.ready),
            control.idle.eq(Cat(pe.idle for pe in pes).all()),
            control.row_error.eq(Cat(pe.row_error for pe in pes).any()),
            control.pointer_error.eq(Cat(pe.pointer_error for pe in pes).any()),
        ]
        return m
