"""Scan: walks through the rows of source activations and broadcasts every non-zero one."""

from amaranth import Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.eie.lnzd import candidate_layout
from hw.eie.payloads import column_layout, settings_layout
from spec.eie.config import EieConfig, bits_for


class Scan(wiring.Component):
    """One row of activations (one of each PE) at a time; of each row, one non-zero in a cycle, in
    order.

    The next row is read while the last non-zero of a row goes out, so there is no bubble between
    rows; the published machine spends a cycle on an exhausted row instead, unless its last PE held
    a non-zero.

    Members
    -------
    begin : In
        Read the first row of a pass; ``settings`` are valid.
    settings : In
        Of the running pass.
    half : In
        Source half of the activation store.
    active : Out
        Columns are (or may be) still to come.
    error : Out
        A non-zero stands behind the last column, of the layer or of the pointer memory; the scan
        has stopped.
    row_enable, row_address : Out
        Read of a row in all activation stores.
    pending : Out
        Which PEs of the row have not been broadcast.
    candidate : In
        First non-zero among these, from non-zero detection.
    o : stream of columns, to all PEs at once
    """

    def __init__(self, config: EieConfig):
        self.config = config
        super().__init__(
            {
                "begin": In(1),
                "settings": In(settings_layout(config)),
                "half": In(1),
                "active": Out(1),
                "error": Out(1),
                "row_enable": Out(1),
                "row_address": Out(config.act_row_bits + 1),
                "pending": Out(config.pes),
                "candidate": In(candidate_layout(config)),
                "o": Out(stream.Signature(column_layout(config))),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        settings, candidate = self.settings, self.candidate
        row = Signal(config.act_row_bits)
        rows_left = Signal(bits_for(config.act_rows))
        columns_left = Signal(signed(bits_for(config.acts) + 1))
        # Wide enough for every base and column, so that none wraps into the memory again.
        row_pointer = Signal(range((1 << config.pointer_address_bits) + 2 * config.acts))
        outside = Signal()
        done = Signal(config.pes)
        offer = Signal()
        sent = Signal()
        leave = Signal()

        # Offer the first non-zero of the row.
        m.d.comb += [
            self.pending.eq(~done),
            offer.eq(self.active & candidate.found),
            # A column ends where the next one begins, so the memory has to hold that pointer, too.
            outside.eq(row_pointer + candidate.pe >= config.columns - 1),
            self.error.eq(offer & ((candidate.pe >= columns_left) | outside)),
            self.o.valid.eq(offer & ~self.error),
            self.o.payload.pointer.eq(row_pointer + candidate.pe),
            self.o.payload.value.eq(candidate.value),
            sent.eq(self.o.valid & self.o.ready),
        ]
        with m.If(sent):
            m.d.sync += done.eq(done | (1 << candidate.pe))

        # Leave the row when it has no more.
        last_find = ~candidate.more if config.scan_ahead else candidate.pe == config.pes - 1
        m.d.comb += leave.eq(self.active & (~candidate.found | (sent & last_find)))
        with m.If(self.begin):
            m.d.sync += [
                self.active.eq(1),
                row.eq(settings.input_base + 1),
                rows_left.eq(settings.input_rows - 1),
                columns_left.eq(settings.columns),
                row_pointer.eq(settings.pointer_base),
                done.eq(0),
            ]
        with m.Elif(self.error | (leave & (rows_left == 0))):
            m.d.sync += self.active.eq(0)
        with m.Elif(leave):
            m.d.sync += [
                row.eq(row + 1),
                rows_left.eq(rows_left - 1),
                columns_left.eq(columns_left - config.pes),
                row_pointer.eq(row_pointer + config.pes),
                done.eq(0),
            ]

        # Read the row that comes next.
        m.d.comb += self.row_enable.eq(self.begin | leave)
        with m.If(self.begin):
            m.d.comb += self.row_address.eq(settings.input_base)
        with m.Else():
            m.d.comb += self.row_address.eq(row)
        m.d.comb += self.row_address[-1].eq(self.half)
        return m
