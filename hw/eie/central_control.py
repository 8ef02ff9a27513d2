"""Central control (CCU): I/O mode and computing mode, and the walk through the table of
descriptors."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.eie.counters import Counters
from hw.eie.drain import Drain
from hw.eie.payloads import DrainOrder, HostAccess, Phase, settings_layout
from hw.memory import Ram
from spec.eie.config import IO_DATA_BITS, EieConfig, bits_for
from spec.eie.counters import ARRAY_COUNTERS
from spec.eie.descriptor import descriptor_words
from spec.eie.iomap import ERROR_BITS, Error, Memory, descriptor_word_bits


class CentralControl(wiring.Component):
    """Runs all passes of the table, one after another, without the host.

    States, in order: ``clear`` (zero the accumulators: after reset, and after a run that failed),
    ``host`` (I/O mode), then for each pass ``fetch`` (its descriptor), ``first_row``, ``compute``
    (scan, then wait for the last PE) and ``drain``.

    Members
    -------
    start : In
        Begin a run, in I/O mode.
    busy : Out
        Not in I/O mode.
    error : Out
        :class:`spec.eie.iomap.Error`, the first one since the last start that was accepted; an
        error of the run itself replaces ``BUSY``.
    host : I/O mode; the table, the number of passes, and the array's own counters
    host_ready : Out
        The host may read and write.
    settings, half : Out
        Descriptor of the running pass, source half of the activation stores.
    begin : Out
        To the scan.
    scanning, scan_error, offered, sent : In
        From the scan.
    idle, row_error, pointer_error : In
        From the PEs: all idle, any error.
    phase, drain : to all PEs
    """

    def __init__(self, config: EieConfig):
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "busy": Out(1),
                "error": Out(ERROR_BITS),
                "host": In(HostAccess(config)),
                "host_ready": Out(1),
                "settings": Out(settings_layout(config)),
                "half": Out(1),
                "begin": Out(1),
                "scanning": In(1),
                "scan_error": In(1),
                "offered": In(1),
                "sent": In(1),
                "idle": In(1),
                "row_error": In(1),
                "pointer_error": In(1),
                "phase": Out(Phase(config)),
                "drain": Out(DrainOrder(config)),
            }
        )
        # Wide enough for any descriptor, also for one that asks for more rows than there are.
        most = (1 << bits_for(config.rows)) + Drain.latency + descriptor_words(config)
        self._step = Signal(range(most), name="step")
        self._passes = Signal(bits_for(config.layers), name="passes")
        self._number = Signal(config.layer_bits, name="number")
        self._failed = Signal(name="failed")
        self._started = Signal(name="started")
        self._ended = Signal(name="ended")

    def elaborate(self, platform):
        m = Module()
        states = self._walk(m)
        self._order_drain(m)
        self._go_on(m)
        self._keep_table(m, states.ongoing("fetch"))
        self._note_errors(m)
        self._count(m, states)
        m.d.comb += [
            self.busy.eq(~states.ongoing("host")),
            self.host_ready.eq(states.ongoing("host") & ~self.phase.save),
            self.phase.scanning.eq(self.scanning),
        ]
        return m

    def _walk(self, m: Module):
        """The states, and how long each one lasts."""
        config, step = self.config, self._step

        def end_pass() -> None:
            m.d.comb += self._ended.eq(1)
            with m.If(self._number + 1 == self._passes):
                m.next = "host"
            with m.Else():
                m.next = "fetch"

        m.d.sync += step.eq(step + 1)
        with m.FSM(init="clear") as states:
            with m.State("clear"):
                m.d.comb += self.drain.clear.eq(1)
                with m.If(step == config.rows - 1):
                    m.next = "host"

            with m.State("host"):
                m.d.comb += self._started.eq(self.start & (self._passes != 0))
                m.d.sync += step.eq(0)
                with m.If(self._started):
                    m.next = "fetch"

            with m.State("fetch"), m.If(step == descriptor_words(config)):
                m.next = "first_row"

            with m.State("first_row"):
                m.d.comb += self.begin.eq(1)
                m.next = "compute"

            with m.State("compute"):
                m.d.comb += self.phase.computing.eq(1)
                m.d.sync += step.eq(0)
                with m.If(~self.scanning & self.idle):
                    with m.If(self._failed):
                        # Saving its counts is also what keeps them out of the next run's.
                        m.d.comb += self._ended.eq(1)
                        m.next = "clear"
                    with m.Elif(self.settings.drain):
                        m.next = "drain"
                    with m.Else():
                        end_pass()

            with m.State("drain"):
                m.d.comb += [
                    self.drain.enable.eq(step < self.settings.rows),
                    self.drain.clear.eq(self.drain.enable),
                    self.drain.store_enable.eq(step >= Drain.latency),
                ]
                with m.If(step == self.settings.rows + (Drain.latency - 1)):
                    m.d.sync += step.eq(0)
                    end_pass()
        return states

    def _order_drain(self, m: Module) -> None:
        """Address the rows of drain: one to requantize, an earlier one to store."""
        config, step = self.config, self._step
        m.d.comb += [
            self.drain.row.eq(step),
            self.drain.bias_address.eq(self.settings.bias_base + step),
            self.drain.store_address.eq(
                Cat(
                    (self.settings.output_base + step - Drain.latency)[: config.act_row_bits],
                    ~self.half,
                )
            ),
        ]

    def _go_on(self, m: Module) -> None:
        """Count passes and turn the halves; the counters of a pass are saved a cycle after it."""
        m.d.sync += [self.phase.save.eq(self._ended), self.phase.saved_pass.eq(self._number)]
        with m.If(self._started):
            m.d.sync += [self._number.eq(0), self.half.eq(0)]
        with m.Elif(self._ended):
            m.d.sync += [
                self._number.eq(self._number + 1),
                self.half.eq(self.half ^ self.settings.swap),
            ]

    def _keep_table(self, m: Module, fetching) -> None:
        """Write the table for the host; read a pass's descriptor, word by word, into settings."""
        config, host, step = self.config, self.host, self._step
        word_bits = descriptor_word_bits(config)
        words = descriptor_words(config)
        m.submodules.table = table = Ram(IO_DATA_BITS, config.layers << word_bits)
        m.d.comb += [
            table.write_enable.eq(host.write_enable & (host.memory == Memory.DESCRIPTORS)),
            table.write_address.eq(host.address),
            table.write_data.eq(host.data),
            table.read_enable.eq(fetching & (step < words)),
            table.read_address.eq(Cat(step[:word_bits], self._number)),
        ]
        with m.If(host.write_enable & (host.memory == Memory.CONTROL)):
            # A table that is longer than its memory arms nothing.
            m.d.sync += self._passes.eq(Mux(host.data <= config.layers, host.data, 0))

        settings = self.settings.as_value()
        for word in range(words):
            with m.If(fetching & (step == word + 1)):
                field = settings[word * IO_DATA_BITS : (word + 1) * IO_DATA_BITS]
                m.d.sync += field.eq(table.read_data)

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
        config, host = self.config, self.host
        m.submodules.counters = counters = Counters(config, ARRAY_COUNTERS)
        events = {
            "control": states.ongoing("fetch") | states.ongoing("first_row"),
            "compute": states.ongoing("compute"),
            "drain": states.ongoing("drain"),
            "broadcasts": self.sent,
            "stalls": self.offered & ~self.sent,
        }
        events["cycles"] = events["control"] | events["compute"] | events["drain"]
        asked = Signal()
        for name in self.phase.signature.members:
            m.d.comb += getattr(counters.phase, name).eq(getattr(self.phase, name))
        m.d.sync += asked.eq(counters.read_enable)
        m.d.comb += [
            counters.events.eq(Cat(events[name] for name in ARRAY_COUNTERS)),
            counters.read_enable.eq(host.read_enable & (host.memory == Memory.CONTROL)),
            counters.read_address.eq(host.address),
        ]
        with m.If(asked):
            m.d.comb += host.answer.eq(counters.read_data)
