"""Scan: walks through a cluster's rows of source activations and broadcasts every non-zero one to
its own sector."""

from amaranth import Cat, Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.eie.lnzd import candidate_layout
from hw.eie.payloads import column_layout, settings_layout
from spec.config import bits_for
from spec.eie.config import EieConfig


class Scan(wiring.Component):
    """One row of activations (one of each PE) at a time; of each row, one non-zero in a cycle, in
    order.

    The scans of all sectors of a cluster go in step, each for its own PEs.

    The next row is read while the last non-zero of a row goes out, so there is no bubble between
    rows; the published machine spends a cycle on an exhausted row instead, unless its last PE held
    a non-zero.

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
    row_enable, row_address : Out
        Read of a row in all activation stores.
    pending : Out
        Which PEs of the sector have not been broadcast.
    beyond : Out
        Which of them stand behind the last column in this row.
    candidate : In
        First non-zero of the cluster among these, from non-zero detection.
    mine, own_pe : In
        It comes from this sector, and the PE there.
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
                "row_enable": Out(1),
                "row_address": Out(config.act_row_bits + 1),
                "pending": Out(config.sector_pes),
                "beyond": Out(config.sector_pes),
                "candidate": In(candidate_layout(config)),
                "mine": In(1),
                "own_pe": In(config.pe_bits),
                "o": Out(stream.Signature(column_layout(config))),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        settings, candidate = self.settings, self.candidate
        row = Signal(config.act_row_bits)
        rows_left = Signal(bits_for(config.act_rows))
        row_pointer = Signal(config.pointer_address_bits)
        done = Signal(config.sector_pes)
        cluster_pes = self._cluster_pes(m)
        offer = Signal()
        sent = Signal()
        leave = Signal()

        # Offer the first non-zero of the row.
        m.d.comb += [
            self.pending.eq(~done),
            offer.eq(self.active & candidate.found),
            self.error.eq(offer & candidate.beyond),
            self.o.valid.eq(offer & ~self.error),
            self.o.payload.pointer.eq(row_pointer + candidate.pe),
            self.o.payload.values.eq(candidate.values),
            sent.eq(self.o.valid & self.o.ready),
        ]
        with m.If(sent & self.mine):
            m.d.sync += done.eq(done | (1 << self.own_pe))

        # Leave the row when it has no more.
        last_find = ~candidate.more if config.scan_ahead else candidate.pe == cluster_pes - 1
        m.d.comb += leave.eq(self.active & (~candidate.found | (sent & last_find)))
        with m.If(self.launch):
            m.d.sync += [
                self.active.eq(1),
                row.eq(settings.input_base + 1),
                rows_left.eq(settings.input_rows - 1),
                row_pointer.eq(settings.pointer_base),
                done.eq(0),
            ]
        with m.Elif(self.error | (leave & (rows_left == 0))):
            m.d.sync += self.active.eq(0)
        with m.Elif(leave):
            m.d.sync += [
                row.eq(row + 1),
                rows_left.eq(rows_left - 1),
                row_pointer.eq(row_pointer + cluster_pes),
                done.eq(0),
            ]

        self._read_row(m, row, leave)
        self._look_ahead(m, leave, cluster_pes)
        return m

    def _read_row(self, m: Module, row: Signal, leave: Signal) -> None:
        """Read the row that comes next."""
        m.d.comb += self.row_enable.eq(self.launch | leave)
        with m.If(self.launch):
            m.d.comb += self.row_address.eq(self.settings.input_base)
        with m.Else():
            m.d.comb += self.row_address.eq(row)
        m.d.comb += self.row_address[-1].eq(self.half)

    def _look_ahead(self, m: Module, leave: Signal, cluster_pes: Signal) -> None:
        """Know of every PE, before a row is looked at, whether it stands behind the last column: of
        the layer, or of the pointer memory, which holds the end of a column, too."""
        config, settings = self.config, self.settings
        # Columns from this sector's first one on, of the row to come; wide enough for every row of
        # every base, so that none wraps into the memory again.
        most = (1 << config.pointer_address_bits) + 2 * config.acts
        of_layer, of_memory = Signal(signed(bits_for(most) + 1)), Signal(signed(bits_for(most) + 1))
        coming = [Signal.like(of_layer, name="layer"), Signal.like(of_memory, name="memory")]
        with m.If(self.launch):
            m.d.comb += [
                coming[0].eq(settings.columns - self.first_pe - self.base),
                coming[1].eq(config.columns - 1 - settings.pointer_base - self.base),
            ]
        with m.Else():
            m.d.comb += [coming[0].eq(of_layer), coming[1].eq(of_memory)]
        with m.If(self.launch | leave):
            m.d.sync += [
                of_layer.eq(coming[0] - config.pes),
                of_memory.eq(coming[1] - cluster_pes),
            ]
            for pe in range(config.sector_pes):
                behind = (count <= pe for count in coming)
                m.d.sync += self.beyond[pe].eq(Cat(behind).any())

    def _cluster_pes(self, m: Module) -> Signal:
        """PEs of a cluster in the running pass."""
        config = self.config
        pes = Signal(bits_for(config.pes))
        with m.Switch(self.settings.split):
            for split in range(config.splits + 1):
                with m.Case(split):
                    m.d.comb += pes.eq(config.cluster_pes(split))
        return pes
