"""All scans of an array over activations, detection trees and division, and what they should do."""

from typing import NamedTuple

import numpy as np
from amaranth import Module
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from hw.eie.division import Division
from hw.eie.lnzd import Lnzd
from hw.eie.payloads import settings_layout
from hw.eie.row import Row
from hw.eie.scan import Scan
from spec.eie.config import EieConfig
from spec.eie.cycles import _rows_after, _rows_before, _split_active
from spec.eie.descriptor import Descriptor
from tests.hw.streams import Pace, plain, simulate, steady, watcher


class Scans(wiring.Component):
    """Scans and what they need, with one memory in place of all activation stores.

    Parameters
    ----------
    halves : activations, shape (2, act_rows, pes, lanes)
    """

    def __init__(self, config: EieConfig, halves: np.ndarray):
        self.config = config
        self.halves = halves
        self.scans = [Scan(config) for _ in range(config.clusters)]
        self.division = Division(config)
        super().__init__(
            {
                "settings": In(settings_layout(config)),
                "half": In(1),
                "begin": In(1),
                "places": In(config.clusters),
                "offered": Out(config.clusters),
                "active": Out(config.clusters),
                "error": Out(config.clusters),
            }
        )

    def elaborate(self, platform):
        config = self.config
        sector_bits = config.sector_pes * config.lanes * config.act_bits
        m = Module()
        m.submodules.division = division = self.division
        m.d.comb += [division.settings.eq(self.settings), division.places.eq(self.places)]
        for sector, scan in enumerate(self.scans):
            m.submodules[f"scan{sector}"] = scan
            m.submodules[f"row{sector}"] = row = Row(config)
            m.submodules[f"tree{sector}"] = tree = Lnzd(config)
            m.submodules[f"acts{sector}"] = acts = memory.Memory(
                shape=sector_bits, depth=2 << config.act_row_bits, init=self._words(sector)
            )
            read = acts.read_port()
            m.d.comb += [
                read.en.eq(scan.row_enable),
                read.addr.eq(scan.row_address),
                row.advance.eq(scan.advance),
                row.mark.eq(scan.mark),
                tree.pending.eq(row.pending),
                tree.beyond.eq(scan.beyond),
                division.candidates[sector].eq(tree.o),
                division.offered[sector].eq(scan.o.valid),
                scan.launch.eq(self.begin),
                scan.settings.eq(self.settings),
                scan.half.eq(self.half),
                scan.first_pe.eq(division.first_pe[sector]),
                scan.base.eq(sector * config.sector_pes - division.first_pe[sector]),
                scan.candidate.eq(division.picked[sector]),
                scan.mine.eq(division.mine[sector]),
                division.counts[sector].eq(row.count),
                division.coming[sector].eq(row.coming),
                scan.count.eq(division.count_in_all[sector]),
                scan.coming.eq(division.coming_in_all[sector]),
                scan.o.ready.eq(division.room[sector]),
                self.offered[sector].eq(scan.o.valid),
                self.active[sector].eq(scan.active),
                self.error[sector].eq(scan.error),
            ]
            for pe in range(config.sector_pes):
                word = read.data.word_select(pe, len(tree.acts[0].as_value()))
                m.d.comb += [
                    row.acts[pe].eq(word),
                    row.nonzero[pe].eq(word.any()),
                    tree.acts[pe].eq(row.o[pe]),
                ]
        return m

    def _words(self, sector: int) -> list[int]:
        """Rows of a sector's activations, both halves."""
        config, mask = self.config, (1 << self.config.act_bits) - 1
        first = sector * config.sector_pes
        words = np.zeros((2, 1 << config.act_row_bits, config.sector_pes * config.lanes), object)
        own = self.halves[:, :, first : first + config.sector_pes] & mask
        words[:, : config.act_rows] = own.reshape(2, config.act_rows, -1)
        shifts = 1 << (config.act_bits * np.arange(words.shape[2])).astype(object)
        return [int(word) for word in (words.reshape(-1, words.shape[2]) * shifts).sum(axis=1)]


class Scanned(NamedTuple):
    """What a cluster did in a pass; cycles count from the first look at a row.

    Attributes
    ----------
    columns : (cycle, payload) of what was broadcast
    last : its last active cycle
    errors : cycles with an error
    """

    columns: list[tuple[int, dict]]
    last: int
    errors: int


def descriptor(config: EieConfig, **values: int) -> Descriptor:
    zeros = dict.fromkeys(
        ("input_base", "pointer_base", "split", "widen", "rows", "output_base", "bias_base"), 0
    )
    rest = {"input_rows": -(-values["columns"] // config.pes), "codebook": 0, "shift": 0}
    return Descriptor(**zeros | rest | values, multiplier=1, relu=False, drain=True, swap=True)


class Bench:
    """Passes one after another, each sector at its own ``pace``."""

    def __init__(self, config: EieConfig, acts: np.ndarray, pace: Pace):
        self.config = config
        self.dut = Scans(config, acts)
        self.pace = pace

    async def run(self, ctx, step: Descriptor, half: int) -> list[Scanned]:
        """What each cluster did."""
        dut = self.dut
        for name in dut.settings.shape().members:
            ctx.set(getattr(dut.settings, name), int(getattr(step, name)))
        ctx.set(dut.half, half)
        ctx.set(dut.begin, 1)
        await ctx.tick()
        ctx.set(dut.begin, 0)
        found = [Scanned([], -1, 0) for _ in range(1 << step.split)]
        cycle, active = 0, True
        while active:
            active = await self.look(ctx, cycle, found)
            cycle += 1
        return found

    async def look(self, ctx, cycle: int, found: list[Scanned]) -> bool:
        """Add what happens in a cycle; says whether any scan is active."""
        dut, division = self.dut, self.dut.division
        places = sum(self.pace() << sector for sector in range(self.config.clusters))
        ctx.set(dut.places, places)
        states = (dut.active, dut.offered, dut.error, division.broadcasts, division.stalls)
        _, _, active, offered, errors, *rest = await ctx.tick().sample(
            *states, *(scan.o.payload for scan in dut.scans)
        )
        counts, heard = rest[:2], [plain(payload) for payload in rest[2:]]
        sent = stalled = 0
        for number, one in enumerate(found):
            size = self.config.clusters // len(found)
            sectors = range(number * size, (number + 1) * size)
            is_active, offers, is_wrong = (
                in_step(bits, sectors) for bits in (active, offered, errors)
            )
            ready = all(places >> sector & 1 for sector in sectors)
            if offers:
                assert [heard[sector] for sector in sectors] == [heard[sectors[0]]] * size
                sent, stalled = sent + ready, stalled + (not ready)
            if offers and ready:
                one.columns.append((cycle, heard[sectors[0]]))
            if is_active:
                found[number] = one._replace(last=cycle, errors=one.errors + is_wrong)
        assert counts == [sent, stalled]
        return active != 0


def in_step(bits: int, sectors: range) -> bool:
    """The one bit that all of these have: the scans of a cluster are in step."""
    (bit,) = {bits >> sector & 1 for sector in sectors}
    return bool(bit)


def run(
    config: EieConfig, acts: np.ndarray, passes: list[tuple[Descriptor, int]], pace: Pace = steady
) -> list[list[Scanned]]:
    """Run (descriptor, source half) one after another; what each cluster of each pass did.

    The counts of broadcasts and stalls are held against it in every cycle.
    """
    bench = Bench(config, acts, pace)

    async def testbench(ctx) -> list[list[Scanned]]:
        return [await bench.run(ctx, step, half) for step, half in passes]

    background = [watcher(scan.o, f"scan {sector}") for sector, scan in enumerate(bench.dut.scans)]
    return simulate(bench.dut, testbench, background=background)[0]


def expected(config: EieConfig, acts: np.ndarray, step: Descriptor, half: int) -> list[Scanned]:
    """The same, with the cycle model's cost of rows, for takers that are always ready."""
    clusters, pes = 1 << step.split, config.cluster_pes(step.split)
    vectors = acts[half, step.input_base :].reshape(-1, config.lanes)[: step.columns]
    live = np.count_nonzero(vectors, axis=1)[None]
    scanned = []
    for cluster, columns in enumerate(_split_active(config, live, clusters)):
        row, place = np.divmod(columns, pes)
        values = vectors[row * config.pes + cluster * pes + place].tolist()
        cycles = np.cumsum(_rows_before(config, pes, columns) + 1) - 1
        payloads = [
            {"pointer": step.pointer_base + int(column), "values": value}
            for column, value in zip(columns, values, strict=True)
        ]
        last = int(cycles[-1]) if len(cycles) else -1
        last += int(_rows_after(config, step, pes, [columns])[0])
        if config.scan_pipeline:
            # Rows are looked at a cycle later, and what is found there goes out in the next one.
            cycles = cycles + 2
            last = max(last + 1, int(cycles.max(initial=0)))
        scanned.append(Scanned(list(zip(cycles.tolist(), payloads, strict=True)), last, 0))
    return scanned
