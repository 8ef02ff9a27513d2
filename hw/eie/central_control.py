"""Central control (CCU): I/O mode and computing mode, and the walk through the table of
descriptors."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.eie.payloads import DrainOrder, Phase, control_access, settings_layout
from hw.eie.tallies import ROUND_CYCLES, SETTLE_CYCLES, Tallies
from hw.memory import Ram
from spec.config import IO_DATA_BITS, bits_for
from spec.eie.config import EieConfig
from spec.eie.counters import ARRAY_COUNTERS
from spec.eie.cycles import drain_latency
from spec.eie.descriptor import descriptor_words
from spec.eie.iomap import (
    ARMING_BITS,
    ERROR_BITS,
    Error,
    Memory,
    array_counter_bits,
    descriptor_word_bits,
)


class CentralControl(wiring.Component):
    """Runs all passes of the table, one after another, without the host.

    States, in order: ``clear`` (zero the accumulators: after reset, and after a run that failed),
    ``host`` (I/O mode), then for each pass ``fetch`` (wait for its descriptor), ``first_row``,
    ``compute`` (scan, then wait for the last PE) and ``drain``. The next descriptor is fetched
    behind the pass before, so that ``fetch`` lasts only in front of the first.

    Members
    -------
    start : In
        Begin a run, in I/O mode, in a cycle behind the last write to the table.
    busy : Out
        Not in I/O mode.
    error : Out
        :class:`spec.eie.iomap.Error`, the first one since the last start that was accepted; an
        error of the run itself replaces ``BUSY``.
    host : I/O mode; the table, which of its passes to run, and the array's own counters
    host_ready : Out
        The host may read and write.
    wrote : In
        It writes a word in this cycle.
    settings, half : Out
        Descriptor of the running pass, source half of the activation stores.
    begin : Out
        To the scan.
    scanning, scan_error : In
        From the scans: any at work, any in error.
    broadcasts, stalls : In
        Columns that are broadcast, and that have to wait, in this cycle.
    idle, row_error, pointer_error : In
        From the PEs: all idle, any error.
    phase, drain : to all PEs
    reducing, store_row : Out
        To reduce: rows are being drained, and the row that is stored now.
    """

    def __init__(self, config: EieConfig):
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "busy": Out(1),
                "error": Out(ERROR_BITS),
                "host": In(control_access(config)),
                "host_ready": Out(1),
                "settings": Out(settings_layout(config)),
                "half": Out(1),
                "begin": Out(1),
                "wrote": In(1),
                "scanning": In(1),
                "scan_error": In(1),
                "broadcasts": In(bits_for(config.clusters)),
                "stalls": In(bits_for(config.clusters)),
                "idle": In(1),
                "row_error": In(1),
                "pointer_error": In(1),
                "phase": Out(Phase(config)),
                "drain": Out(DrainOrder(config)),
                "reducing": Out(1),
                "store_row": Out(bits_for(config.clusters - 1)),
            }
        )
        # Wide enough for any descriptor, also for one that asks for more rows than there are.
        most = (1 << bits_for(config.rows)) + drain_latency(config)
        self._step = Signal(range(most), name="step")
        self._coming = Signal.like(self._step, name="coming")
        self._first = Signal(config.layer_bits, name="first")
        self._passes = Signal(bits_for(config.layers), name="passes")
        self._left = Signal(bits_for(config.layers), name="left")
        self._number = Signal(config.layer_bits, name="number")
        self._following = Signal(settings_layout(config), name="following")
        self._fetched = Signal(name="fetched")
        self._taken = Signal(name="taken")
        self._failed = Signal(name="failed")
        self._started = Signal(name="started")
        self._ended = Signal(name="ended")
        self._drained = Signal(name="drained")
        self._finished = Signal(name="finished")
        self._settling = Signal(range(SETTLE_CYCLES + 1), name="settling")

    def elaborate(self, platform):
        m = Module()
        self._finish(m)
        states = self._walk(m)
        self._order_drain(m)
        self._go_on(m)
        self._fetch(m)
        self._note_errors(m)
        self._count(m, states)
        m.d.comb += [
            self.busy.eq(~states.ongoing("host")),
            self.reducing.eq(states.ongoing("drain")),
            self.host_ready.eq(states.ongoing("host") & (self._settling == 0)),
            self.phase.scanning.eq(self.scanning),
        ]
        return m

    def _walk(self, m: Module):
        """The states, and how long each one lasts."""
        config, step = self.config, self._step

        m.d.sync += step.eq(self._coming)
        m.d.comb += self._coming.eq(step + 1)
        with m.FSM(init="clear") as states:
            with m.State("clear"):
                m.d.comb += self.drain.clear.eq(1)
                with m.If(step == config.rows - 1):
                    m.next = "host"

            with m.State("host"):
                m.d.comb += [
                    self._started.eq(self.start & (self._passes != 0)),
                    self._coming.eq(0),
                ]
                with m.If(self._started):
                    m.next = "fetch"

            with m.State("fetch"):
                self._begin_pass(m)

            with m.State("first_row"):
                m.d.comb += self.begin.eq(1)
                m.next = "compute"

            with m.State("compute"):
                m.d.comb += [self.phase.computing.eq(1), self._coming.eq(0)]
                with m.If(self._finished):
                    with m.If(self._failed):
                        # Saving its counts is also what keeps them out of the next run's.
                        m.d.comb += self._ended.eq(1)
                        m.next = "clear"
                    with m.Elif(self.settings.drain):
                        m.next = "drain"
                    with m.Else():
                        self._end_pass(m)

            with m.State("drain"):
                m.d.comb += [
                    self.drain.enable.eq(step < self.settings.rows),
                    self.drain.clear.eq(self.drain.enable),
                    self.drain.bias_enable.eq(1),
                    self.drain.store_enable.eq(step >= drain_latency(config)),
                ]
                # The last step is known from a register.
                before_last = self.settings.rows + (drain_latency(config) - 2)
                m.d.sync += self._drained.eq(step == before_last)
                with m.If(self._drained):
                    m.d.comb += self._coming.eq(0)
                    self._end_pass(m)
        return states

    def _finish(self, m: Module) -> None:
        """Nothing is to come and nothing on its way: known at once, or from a register, which no
        path through all PEs has to go past."""
        finished = self.phase.computing & ~self.scanning & self.idle
        domain = m.d.sync if self.config.scan_pipeline else m.d.comb
        domain += self._finished.eq(finished)

    def _begin_pass(self, m: Module) -> None:
        """Go on with the next pass as soon as its descriptor is here."""
        with m.If(self._fetched):
            m.d.comb += self._taken.eq(1)
            m.next = "first_row"
        with m.Else():
            m.next = "fetch"

    def _end_pass(self, m: Module) -> None:
        """Go on with the next pass, or tell the host."""
        m.d.comb += self._ended.eq(1)
        with m.If(self._left == 0):
            m.next = "host"
        with m.Else():
            self._begin_pass(m)

    def _order_drain(self, m: Module) -> None:
        """Address the rows of drain: one to read, an earlier one to requantize, one to store; from
        registers, for it is known before which step comes.

        Accumulators of all clusters that stand side by side make one row of activations.
        """
        config, step, settings = self.config, self._coming, self.settings
        biased = (step - config.splits)[: len(step)]
        stored = (step - drain_latency(config))[: len(step)]
        m.d.sync += [
            self.drain.row.eq(step),
            self.drain.bias_address.eq(settings.bias_base + (biased >> settings.split)),
            self.store_row.eq(stored),
            self.drain.store_address.eq(
                Cat(
                    (settings.output_base + (stored >> settings.split))[: config.act_row_bits],
                    ~self.half,
                )
            ),
        ]

    def _go_on(self, m: Module) -> None:
        """Turn the halves; the counters of a pass are saved a cycle after it, and settle."""
        m.d.sync += [self.phase.save.eq(self._ended), self.phase.saved_pass.eq(self._number)]
        with m.If(self._ended):
            m.d.sync += self._settling.eq(SETTLE_CYCLES)
        with m.Elif(self._settling != 0):
            m.d.sync += self._settling.eq(self._settling - 1)
        with m.If(self._started):
            m.d.sync += self.half.eq(0)
        with m.Elif(self._ended):
            m.d.sync += self.half.eq(self.half ^ self.settings.swap)

    def _fetch(self, m: Module) -> None:
        """Keep the table for the host; read the descriptor of the next pass, word by word."""
        config, host = self.config, self.host
        word_bits = descriptor_word_bits(config)
        words = descriptor_words(config)
        m.submodules.table = table = Ram(IO_DATA_BITS, config.layers << word_bits)
        fetching = Signal()
        word = Signal(range(words + 1))
        following = Signal(config.layer_bits)

        # Take the host's words. Passes that the table does not hold arm nothing.
        first, count = host.data[ARMING_BITS : 2 * ARMING_BITS], host.data[:ARMING_BITS]
        domain = m.d.sync if config.scan_pipeline else m.d.comb
        domain += [
            table.write_enable.eq(host.write_enable & (host.memory == Memory.DESCRIPTORS)),
            table.write_address.eq(host.address),
            table.write_data.eq(host.data),
        ]
        with m.If(host.write_enable & (host.memory == Memory.CONTROL)):
            fits = first + count <= config.layers
            m.d.sync += [self._first.eq(first), self._passes.eq(Mux(fits, count, 0))]

        # Begin with the first descriptor of a run, or with the next one when one is taken.
        m.d.comb += [
            table.read_enable.eq(fetching & (word < words)),
            table.read_address.eq(Cat(word[:word_bits], following)),
        ]
        with m.If(self._started):
            m.d.sync += [
                following.eq(self._first),
                self._left.eq(self._passes),
                fetching.eq(1),
                word.eq(0),
                self._fetched.eq(0),
            ]
        with m.Elif(self._taken):
            m.d.sync += [
                following.eq(following + 1),
                self._left.eq(self._left - 1),
                fetching.eq(self._left != 1),
                word.eq(0),
                self._fetched.eq(0),
            ]
        with m.Elif(fetching):
            m.d.sync += word.eq(word + 1)
            with m.If(word == words):
                m.d.sync += [fetching.eq(0), self._fetched.eq(1)]
        with m.If(self._taken):
            m.d.sync += [self.settings.eq(self._following), self._number.eq(following)]

        # Keep word after word.
        for index in range(words):
            with m.If(word == index + 1):
                part = self._following.as_value()[index * IO_DATA_BITS :][:IO_DATA_BITS]
                m.d.sync += part.eq(table.read_data)

    def _note_errors(self, m: Module) -> None:
        """Keep the first error since the last start; those of a run fail it, and outdo ``BUSY``."""
        fatal = {
            Error.COLUMN: self.scan_error,
            Error.ROW: self.row_error,
            Error.POINTER: self.pointer_error,
        }
        with m.If(self._started):
            m.d.sync += [self.error.eq(Error.NONE), self._failed.eq(0)]
        with m.Elif(self.start), m.If(self.error == Error.NONE):
            m.d.sync += self.error.eq(Mux(self.busy, Error.BUSY, Error.NO_IMAGE))
        for code, happens in fatal.items():
            with m.If(happens):
                m.d.sync += self._failed.eq(1)
                with m.If(~self._failed):
                    m.d.sync += self.error.eq(code)

    def _count(self, m: Module, states) -> None:
        """Count for the whole array, and answer the host."""
        config, host, phase = self.config, self.host, self.phase
        # Taken, its number is known, before the first round of its counts is over.
        assert descriptor_words(config) + 3 <= ROUND_CYCLES
        widths = {"broadcasts": len(self.broadcasts), "stalls": len(self.stalls)}
        m.submodules.counters = counters = Tallies(
            config, ARRAY_COUNTERS, widths, bits=config.counter_bits
        )
        events = {
            "control": states.ongoing("fetch") | states.ongoing("first_row"),
            "compute": states.ongoing("compute"),
            "drain": states.ongoing("drain"),
            "broadcasts": self.broadcasts,
            "stalls": self.stalls,
        }
        events["cycles"] = events["control"] | events["compute"] | events["drain"]
        events["hidden"] = events["cycles"] & self.wrote
        m.d.sync += [counters.events[name].eq(event) for name, event in events.items()]
        m.d.comb += [
            counters.phase.save.eq(phase.save),
            counters.phase.saved_pass.eq(phase.saved_pass),
            counters.phase.computing.eq(events["cycles"] & ~self._ended),
        ]

        # The words before a run, which come all at once, are its first pass's.
        words, loads = Signal(config.counter_bits), Signal(config.counter_bits)
        loaded = Signal(config.layer_bits)
        m.d.sync += words.eq(Mux(self._started, 0, words) + self.wrote)
        with m.If(self._started):
            m.d.sync += [loads.eq(words), loaded.eq(self._first)]

        # Answer the host.
        asked, asked_loads = Signal(), Signal()
        wanted = Cat(Const(ARRAY_COUNTERS.index("loads"), array_counter_bits()), loaded)
        domain = m.d.sync if config.scan_pipeline else m.d.comb
        domain += [
            counters.read_enable.eq(host.read_enable & (host.memory == Memory.CONTROL)),
            counters.read_address.eq(host.address),
        ]
        m.d.sync += [
            asked.eq(counters.read_enable),
            asked_loads.eq(counters.read_address == wanted),
        ]
        with m.If(asked):
            m.d.comb += host.answer.eq(Mux(asked_loads, loads, counters.read_data))
