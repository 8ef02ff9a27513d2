"""The N:M engine: buffers, pipeline, array, drain and control, wired together."""

from amaranth import Module, ResetInserter
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.emit import Placed
from hw.nm.act_buffer import ActBuffer
from hw.nm.array import MacArray
from hw.nm.control import Control
from hw.nm.counters import Counters
from hw.nm.distribute import Distribute
from hw.nm.drain import Drain
from hw.nm.gather import Gather
from hw.nm.host_port import HostPort
from hw.nm.loader import Loader
from hw.nm.payloads import host_signature
from hw.nm.sequencer import Sequencer
from hw.nm.strip_buffer import StripBuffer
from hw.nm.travel import Travel
from spec.nm.config import NmConfig
from spec.nm.iomap import ERROR_BITS


class NmArray(wiring.Component):
    """Multiplies N:M sparse matrices with batches of activations, a layer per run.

    Write the descriptor (:mod:`spec.nm.iomap`), pulse ``start``, feed the load stream and take the
    results (:mod:`spec.nm.stream`) until ``busy`` falls, read the counters.
    :mod:`spec.nm.cycles` says how long that takes.

    An error ends the run in the next cycle; results that nobody has taken by then are withdrawn.

    Members
    -------
    write, read, data : streams of the host
    i : the load stream; words are taken only during a run
    o : the result stream
    start : In
        A pulse of one cycle. Held, it is a start in every cycle: all but the first are errors.
    busy : Out
        A run is going on.
    error : Out
        :class:`spec.nm.iomap.Error`.
    """

    def __init__(self, config: NmConfig):
        self.config = config
        super().__init__(
            host_signature(config)
            | {
                "i": In(stream.Signature(config.load_bits)),
                "o": Out(stream.Signature(config.lane_bits)),
                "start": In(1),
                "busy": Out(1),
                "error": Out(ERROR_BITS),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        m.submodules.control = control = Control(config)
        m.submodules.host = host = HostPort(config)
        m.submodules.counters = counters = Counters(config)
        m.submodules.strips = strips = Placed(StripBuffer(config), "nm_strips")
        m.submodules.acts = acts = Placed(ActBuffer(config), "nm_acts")
        m.submodules.gather = gather = Gather(config)
        m.submodules.array = array = MacArray(config)
        loader, sequencer = Loader(config), Sequencer(config)
        travel, drain = Travel(config), Drain(config)

        # What remembers a run forgets it when it is over.
        begins_anew = ResetInserter(~control.run)
        m.submodules.loader = begins_anew(loader)
        m.submodules.sequencer = begins_anew(sequencer)
        m.submodules.travel = begins_anew(travel)
        m.submodules.drain = begins_anew(drain)
        for unit in (loader, strips, sequencer, gather, drain):
            m.d.comb += unit.settings.eq(control.settings)

        self._serve_host(m, host, control, counters)
        self._begin_and_end(m, control, loader, drain)
        self._load(m, control, loader, strips, acts)
        self._issue(m, sequencer, loader, travel, gather, drain)
        self._read(m, travel, gather, strips, acts, loader)
        self._compute(m, control, travel, strips, acts, array)
        self._drain(m, control, travel, array, drain, strips, loader)
        self._count(m, counters, control, loader, drain, sequencer)
        return m

    def _serve_host(self, m: Module, host: HostPort, control: Control, counters: Counters) -> None:
        """The host's streams: to the descriptor, and from the counters."""
        for port, inner in ((self.write, host.write), (self.read, host.read)):
            connect(m, flipped(port), inner)
        connect(m, host.data, flipped(self.data))
        m.d.comb += [
            host.busy.eq(control.busy),
            control.write_enable.eq(host.write_enable),
            control.write_address.eq(host.write_address),
            control.write_data.eq(host.write_data),
            counters.read_enable.eq(host.read_enable),
            counters.read_address.eq(host.read_address),
            host.counter.eq(counters.read_data),
        ]

    def _begin_and_end(self, m: Module, control: Control, loader: Loader, drain: Drain) -> None:
        """Begin, end, and say so."""
        m.d.comb += [
            control.start.eq(self.start),
            self.busy.eq(control.busy),
            self.error.eq(control.error),
            control.ended.eq(drain.ended),
            control.strip_error.eq(loader.error),
        ]

    def _load(
        self, m: Module, control: Control, loader: Loader, strips: Placed, acts: Placed
    ) -> None:
        """Words to the buffers. The stream stands still between runs."""
        m.d.comb += [
            loader.i.valid.eq(self.i.valid & control.run),
            loader.i.payload.eq(self.i.payload),
            self.i.ready.eq(loader.i.ready & control.run),
        ]
        connect(m, loader.strip, strips.write)
        connect(m, loader.line, acts.write)

    def _issue(
        self,
        m: Module,
        sequencer: Sequencer,
        loader: Loader,
        travel: Travel,
        gather: Gather,
        drain: Drain,
    ) -> None:
        """Issue steps of what is loaded, and move them through the pipeline."""
        connect(m, loader.loaded, sequencer.loaded)
        connect(m, sequencer.strip_used, loader.strip_used)
        connect(m, sequencer.block_used, loader.block_used)
        m.d.comb += sequencer.result.eq(drain.given)
        for taker in (travel.i, gather.i):
            m.d.comb += [
                taker.valid.eq(sequencer.o.valid),
                taker.payload.eq(sequencer.o.payload),
            ]

    def _read(
        self,
        m: Module,
        travel: Travel,
        gather: Gather,
        strips: Placed,
        acts: Placed,
        loader: Loader,
    ) -> None:
        """Read a step's weights, and its line of activations. A part that others follow is done
        with its last weights."""
        step = travel.read.payload
        connect(m, travel.read, strips.i)
        m.d.comb += [
            loader.part_done.enable.eq(travel.read.valid & step.ends_strip & ~step.last),
            loader.part_done.bank.eq(step.weight_bank),
        ]
        if self.config.gather_lines:
            connect(m, gather.offsets, strips.offsets)
        m.d.comb += [
            acts.read_enable.eq(travel.read.valid),
            acts.read_bank.eq(travel.read.payload.act_bank),
            acts.addresses.eq(gather.o),
        ]

    def _compute(
        self,
        m: Module,
        control: Control,
        travel: Travel,
        strips: Placed,
        acts: Placed,
        array: MacArray,
    ) -> None:
        """Give activations to the columns and weights to the rows, multiply and add."""
        config = self.config
        for column in range(config.columns):
            unit = Placed(Distribute(config), "nm_distribute")
            m.submodules[f"distribute{column}"] = unit
            m.d.comb += [
                unit.line.eq(acts.o[column]),
                unit.at.eq(travel.distribute.payload.at),
                unit.settings.eq(control.settings),
                array.windows[column].eq(unit.o),
            ]
        m.d.comb += [
            array.valid.eq(travel.select.valid),
            array.first.eq(travel.select.payload.first),
            array.weights.eq(strips.weights),
        ]
        if config.place_bits:
            m.d.comb += array.places.eq(strips.places)

    def _drain(
        self,
        m: Module,
        control: Control,
        travel: Travel,
        array: MacArray,
        drain: Drain,
        strips: Placed,
        loader: Loader,
    ) -> None:
        """Drain tile after tile. The stream stands still between runs."""
        connect(m, travel.drain, drain.i)
        connect(m, drain.parameters, strips.parameters)
        connect(m, drain.strip_done, loader.strip_done)
        m.d.comb += [
            array.hand_over.eq(travel.hand_over.valid & travel.hand_over.payload.last),
            drain.sums.eq(array.o),
            self.o.valid.eq(drain.o.valid & control.run),
            self.o.payload.eq(drain.o.payload),
            drain.o.ready.eq(self.o.ready & control.run),
        ]

    def _count(
        self,
        m: Module,
        counters: Counters,
        control: Control,
        loader: Loader,
        drain: Drain,
        sequencer: Sequencer,
    ) -> None:
        """Say what happens in this cycle."""
        m.d.comb += [
            counters.clear.eq(control.launch),
            counters.events.cycles.eq(control.busy),
            counters.events.control.eq(control.look),
            counters.events.loads.eq(loader.took),
            counters.events.results.eq(drain.given),
        ]
        for cause in sequencer.causes.signature.members:
            event = getattr(sequencer.causes, cause) & control.run
            m.d.comb += counters.events[cause].eq(event)
