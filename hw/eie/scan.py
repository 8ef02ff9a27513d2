"""Scan: walks through a cluster's rows of source activations and broadcasts every non-zero one to
its own sector."""

from amaranth import Cat, Const, Module, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.eie.count_few import COUNT_BITS
from hw.eie.lnzd import candidate_layout
from hw.eie.payloads import column_layout, settings_layout
from spec.config import bits_for
from spec.eie.config import EieConfig

LIMITS = ("of_layer", "of_memory")


class Scan(wiring.Component):
    """One row of activations (one of each PE) at a time; of each row, one non-zero in a cycle, in
    order.

    The scans of all sectors of a cluster go in step, each for its own PEs.

    The next row is read while the last non-zero of a row goes out, so there is no bubble between
    rows; the published machine spends a cycle on an exhausted row instead, unless its last PE held
    a non-zero.

    A pipelined scan reads a row ahead, and keeps the column that it found in a register, from which
    it is broadcast while the next one is looked for. Whether a row has a non-zero, and whether that
    is its last, it also knows from registers: so detection leads to the column alone (unless an
    exhausted row costs a cycle). If PEs are registered, it is told when to read a row, and when the
    next one is at hand (:class:`hw.eie.rows_ahead.RowsAhead`).

    Members
    -------
    launch : In
        Read the first row of a pass; ``settings`` are valid.
    settings : In
        Of the running pass.
    half : In
        Source half of the activation store.
    first_pe : In
        First PE of the cluster.
    base : In
        Where in the cluster this sector begins.
    active : Out
        Columns are (or may be) still to come.
    error : Out
        A non-zero stands behind the last column, of the layer or of the pointer memory; the scan
        has stopped.
    row_asked, row_there : In
        Read a row; the next one is at hand. Used if PEs are registered.
    row_enable, row_address : Out
        Read of a row in all activation stores.
    advance : Out
        The next row is looked at.
    mark : Out
        The sector's own non-zero is done with.
    beyond : Out
        Which PEs of the sector stand behind the last column in this row.
    candidate : In
        First non-zero of the cluster among these, from non-zero detection.
    mine : In
        It comes from this sector.
    count, coming : In
        How many non-zeros of the row, and of the row to come, the cluster has
        (:class:`hw.eie.row.Row`).
    o : stream of columns, to all PEs of the sector at once
    """

    def __init__(self, config: EieConfig):
        self.config = config
        super().__init__(
            {
                "launch": In(1),
                "settings": In(settings_layout(config)),
                "half": In(1),
                "first_pe": In(config.pe_bits),
                "base": In(config.pe_bits),
                "active": Out(1),
                "error": Out(1),
                "row_asked": In(1),
                "row_there": In(1),
                "row_enable": Out(1),
                "row_address": Out(config.act_row_bits + 1),
                "advance": Out(1),
                "mark": Out(1),
                "beyond": Out(config.sector_pes),
                "candidate": In(candidate_layout(config)),
                "mine": In(1),
                "count": In(COUNT_BITS),
                "coming": In(COUNT_BITS),
                "o": Out(stream.Signature(column_layout(config))),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        settings, candidate = self.settings, self.candidate
        rows_left = Signal(bits_for(config.act_rows))
        row_pointer = Signal(config.pointer_address_bits)
        cluster_pes = self._cluster_pes(m)
        # Whether there are rows to look at; whether one is here.
        going, here = Signal(), Signal(init=1)
        taken, leave = Signal(), Signal()

        # Find the first non-zero of the row, and leave the row when it has no more.
        some, only = self._count(m, taken)
        last = only if config.scan_ahead else candidate.pe == cluster_pes - 1
        m.d.comb += [
            self.mark.eq(taken & self.mine),
            leave.eq(going & here & (~some | (taken & last))),
        ]
        with m.If(self.launch):
            m.d.sync += [
                going.eq(1),
                rows_left.eq(settings.input_rows - 1),
                row_pointer.eq(settings.pointer_base),
            ]
        with m.Elif(self.error | (leave & (rows_left == 0))):
            m.d.sync += going.eq(0)
        with m.Elif(leave):
            m.d.sync += [
                rows_left.eq(rows_left - 1),
                row_pointer.eq(row_pointer + cluster_pes),
            ]

        broadcast = self._broadcast_late if config.scan_pipeline else self._broadcast_at_once
        broadcast(m, taken, going & here & some, row_pointer, going)
        self._read_rows(m, here, leave)
        self._look_ahead(m, cluster_pes)
        return m

    def _broadcast_at_once(
        self, m: Module, taken: Signal, offer: Value, row_pointer: Signal, going: Signal
    ) -> None:
        """Send the column in the cycle in which it is found."""
        m.d.comb += [
            self.active.eq(going),
            self.error.eq(offer & self.candidate.beyond),
            self.o.valid.eq(offer & ~self.error),
            self.o.payload.pointer.eq(row_pointer + self.candidate.pe),
            self.o.payload.values.eq(self.candidate.values),
            taken.eq(self.o.valid & self.o.ready),
        ]

    def _broadcast_late(
        self, m: Module, taken: Signal, offer: Value, row_pointer: Signal, going: Signal
    ) -> None:
        """Send the column from registers."""
        held, beyond = Signal(), Signal()
        pe, first = Signal.like(self.candidate.pe), Signal.like(row_pointer)
        free = ~held | self.o.ready
        with m.If(free):
            m.d.sync += [
                beyond.eq(self.candidate.beyond),
                pe.eq(self.candidate.pe),
                first.eq(row_pointer),
                self.o.payload.values.eq(self.candidate.values),
            ]
        with m.If(free | self.error):
            m.d.sync += held.eq(taken)
        m.d.comb += [
            self.active.eq(going | held),
            self.error.eq(held & beyond),
            self.o.valid.eq(held & ~beyond),
            self.o.payload.pointer.eq(first + pe),
            taken.eq(offer & free & ~self.error),
        ]

    def _count(self, m: Module, taken: Signal) -> tuple[Signal, Signal]:
        """Whether the row has a non-zero, and whether it has one only."""
        some, only = Signal(), Signal()
        if not self.config.scan_pipeline:
            m.d.comb += [some.eq(self.count != 0), only.eq(self.count == 1)]
            return some, only
        with m.If(self.advance):
            m.d.sync += [some.eq(self.coming != 0), only.eq(self.coming == 1)]
        with m.Elif(taken):
            m.d.sync += [some.eq(self.count != 1), only.eq(self.count == 2)]
        return some, only

    def _read_rows(self, m: Module, here: Signal, leave: Signal) -> None:
        """Read the row that comes next, or the one behind it."""
        row = Signal(self.config.act_row_bits)
        if self.config.pe_registers:
            m.d.comb += [
                self.advance.eq((leave | ~here) & self.row_there & ~self.launch),
                self.row_enable.eq(self.row_asked),
            ]
            with m.If(self.launch | self.advance | leave):
                m.d.sync += here.eq(self.advance)
        elif self.config.scan_pipeline:
            m.d.sync += here.eq(~self.launch)
            m.d.comb += [
                self.advance.eq(leave | ~here),
                self.row_enable.eq(self.launch | self.advance),
            ]
        else:
            m.d.comb += [
                self.advance.eq(self.launch | leave),
                self.row_enable.eq(self.advance),
            ]
        m.d.comb += self.row_address.eq(Cat(row, self.half))
        with m.If(self.launch):
            m.d.comb += self.row_address.eq(Cat(self.settings.input_base, self.half))
            m.d.sync += row.eq(self.settings.input_base + 1)
        with m.Elif(self.row_enable):
            m.d.sync += row.eq(row + 1)

    def _look_ahead(self, m: Module, cluster_pes: Signal) -> None:
        """Know of every PE, before a row is looked at, whether it stands behind the last column: of
        the layer, or of the pointer memory, which holds the end of a column, too."""
        config, settings = self.config, self.settings
        # Columns from this sector's first one on, of the row to come; wide enough for every row of
        # every base, so that none wraps into the memory again.
        most = (1 << config.pointer_address_bits) + 2 * config.acts
        of_layer, of_memory = (Signal(signed(bits_for(most) + 1), name=name) for name in LIMITS)
        first = [
            settings.columns - self.first_pe - self.base,
            config.columns - 1 - settings.pointer_base - self.base,
        ]
        columns = [Signal.like(of_layer, name=f"{name}_coming") for name in LIMITS]
        m.d.comb += [columns[0].eq(of_layer), columns[1].eq(of_memory)]
        with m.If(self.launch):
            if config.scan_pipeline:
                m.d.sync += [of_layer.eq(first[0]), of_memory.eq(first[1])]
            else:
                m.d.comb += [columns[0].eq(first[0]), columns[1].eq(first[1])]
        with m.If(self.advance):
            m.d.sync += [
                of_layer.eq(columns[0] - config.pes),
                of_memory.eq(columns[1] - cluster_pes),
            ]
            m.d.sync += self.beyond.eq(self._behind(columns[0]) | self._behind(columns[1]))

    def _behind(self, count: Signal) -> Value:
        """Which PEs stand behind so many columns: shifted out by the few bits that matter."""
        pes = self.config.sector_pes
        bits = bits_for(pes - 1)
        none, many = count[-1], count[bits:-1].any()
        behind = Const(-1, pes) << count[:bits]
        return none.replicate(pes) | (behind[:pes] & ~many.replicate(pes))

    def _cluster_pes(self, m: Module) -> Signal:
        """PEs of a cluster in the running pass."""
        config = self.config
        pes = Signal(bits_for(config.pes))
        with m.Switch(self.settings.split):
            for split in range(config.splits + 1):
                with m.Case(split):
                    m.d.comb += pes.eq(config.cluster_pes(split))
        return pes
