"""A PE of a layer, alone: what is around it, and what it should do."""

from dataclasses import replace

import numpy as np

from hw.eie.pe import ProcessingElement
from hw.eie.tallies import SETTLE_CYCLES
from spec.eie.counters import PE_COUNTERS
from spec.eie.cycles import drain_cycles, drain_latency
from spec.eie.golden import decode_pass
from spec.eie.iomap import Memory
from spec.eie.program import Pass, Program, Segment
from spec.numbers import requantize
from tests.hw.streams import Pace, plain, recorder


class Bench:
    """One PE of a layer: loads it, plays central control, the scan and the other clusters, and
    reads the results.

    Attributes
    ----------
    cluster, place : int
        Of the PE in the layer's division.
    columns : int64 array
        Columns of its cluster, as the layer counts them.
    """

    def __init__(self, program: Program, number: int, macs: list):
        # Without registers at its ports, which are the array's affair.
        self.config = replace(program.config, pe_registers=False)
        self.segment: Segment = program.segments[0]
        self.step: Pass = self.segment.passes[0]
        self.number = number
        self.macs = macs
        self.dut = ProcessingElement(self.config)
        self.written: list[tuple] = []
        self.decoded = decode_pass(self.config, self.segment, self.step)
        pes = self.config.cluster_pes(self.step.descriptor.split)
        self.cluster, self.place = divmod(number, pes)
        columns = np.arange(self.step.inputs)
        self.columns = columns[columns % self.config.pes // pes == self.cluster]

    # What the PE should do ----------------------------------------------------------------------

    def sums(self, acts: np.ndarray) -> np.ndarray:
        """Of all rows of this PE, (lanes, rows), from activations (lanes, inputs) of its
        cluster or of all."""
        pes = self.config.cluster_pes(self.step.descriptor.split)
        rows = self.step.descriptor.rows * pes
        return np.stack([self.decoded.multiply(lane, rows)[self.place :: pes] for lane in acts])

    def own(self, acts: np.ndarray) -> np.ndarray:
        """The activations of this PE's cluster; all others are zero."""
        masked = np.zeros_like(acts)
        masked[:, self.columns] = acts[:, self.columns]
        return masked

    def counted(self, acts: np.ndarray) -> dict[str, int]:
        """What the model counts, whatever the pace."""
        work, live = self.decoded.work, np.count_nonzero(acts[:, self.columns], axis=0)
        active, lanes = np.flatnonzero(live), self.config.lanes
        weights, pads, lines = (
            part[active, self.number] for part in (work.weights, work.pads, work.lines)
        )
        return {
            "busy": int(weights.sum()),
            "pads": int(pads.sum()),
            "lines": int(lines.sum()),
            "gated": int((weights * (lanes - live[active])).sum()),
        }

    # The host -----------------------------------------------------------------------------------

    async def write(self, ctx, memory: Memory, words: np.ndarray) -> None:
        host = self.dut.host
        ctx.set(host.write_enable, 1)
        ctx.set(host.memory, memory)
        for address, word in enumerate(words):
            ctx.set(host.address, address)
            ctx.set(host.data, int(word))
            await ctx.tick()
        ctx.set(host.write_enable, 0)

    async def read(self, ctx, memory: Memory, address: int) -> int:
        host = self.dut.host
        ctx.set(host.memory, memory)
        ctx.set(host.address, address)
        ctx.set(host.read_enable, 1)
        await ctx.tick()
        ctx.set(host.read_enable, 0)
        _, _, answer = await ctx.tick().sample(host.answer)
        assert ctx.get(host.answer) == 0, "a PE that was not asked answers zero"
        return answer

    async def load(self, ctx) -> None:
        segment, mask = self.segment, (1 << 64) - 1
        books = segment.codebooks.ravel().astype(object) & mask
        await self.write(ctx, Memory.CODEBOOK, books)
        await self.write(ctx, Memory.BIASES, segment.biases[self.number].astype(object) & mask)
        await self.write(ctx, Memory.POINTERS, segment.pointers[self.number])
        await self.write(ctx, Memory.LINES, segment.lines[self.number])
        for name in self.dut.settings.shape().members:
            value = int(getattr(self.step.descriptor, name))
            ctx.set(getattr(self.dut.settings, name), value)

    # Central control, the scan and the other clusters ---------------------------------------------

    async def compute(self, ctx, acts: np.ndarray, pace: Pace) -> int:
        """Broadcast the activations, (lanes, inputs), that are not zero in all lanes; wait until
        the PE is idle; gives the cycles."""
        dut, cycles = self.dut, 0
        base = self.step.descriptor.pointer_base
        ctx.set(dut.phase.computing, 1)
        ctx.set(dut.phase.scanning, 1)
        for column, values in enumerate(acts[:, self.columns].T.tolist()):
            if not any(values):
                continue
            ctx.set(dut.broadcast.payload, {"pointer": base + column, "values": values})
            sent = False
            while not sent:
                # The scan offers, but another PE's full queue may keep it from sending.
                willing = pace()
                ctx.set(dut.offered, 1)
                ctx.set(dut.broadcast.valid, willing and ctx.get(dut.broadcast.ready))
                _, _, sent = await ctx.tick().sample(dut.broadcast.valid)
                cycles += 1
            ctx.set(dut.broadcast.valid, 0)
            ctx.set(dut.offered, 0)
        ctx.set(dut.phase.scanning, 0)
        idle = False
        while not idle:
            _, _, idle, *errors = await ctx.tick().sample(
                dut.idle, dut.row_error, dut.pointer_error
            )
            assert not any(errors)
            cycles += 1
        ctx.set(dut.phase.computing, 0)
        return cycles

    async def drain(self, ctx, totals: np.ndarray) -> list[list[int]]:
        """Drain; ``totals`` (lanes, rows) are the sums of all clusters. Gives this PE's own."""
        config, step, order = self.config, self.step.descriptor, self.dut.drain
        clusters, sums = 1 << step.split, []
        for cycle in range(drain_cycles(config, step)):
            reduced, stored = cycle - 1 - config.splits, cycle - drain_latency(config)
            mine = stored >= 0 and stored % clusters == self.cluster
            row = step.output_base + max(stored, 0) // clusters
            bias = step.bias_base + max(cycle - config.splits, 0) // clusters
            ctx.set(order.enable, cycle < step.rows)
            ctx.set(order.clear, cycle < step.rows)
            ctx.set(order.row, cycle % config.rows)
            ctx.set(order.bias_enable, 1)
            ctx.set(order.bias_address, bias % config.biases)
            ctx.set(order.store_enable, mine)
            ctx.set(order.store_address, 1 << config.act_row_bits | row)
            if 0 <= reduced < step.rows:
                ctx.set(self.dut.reduced, totals[:, reduced].tolist())
            _, _, own = await ctx.tick().sample(self.dut.sums)
            sums.append(plain(own))
        ctx.set(order.store_enable, 0)
        ctx.set(order.enable, 0)
        return sums[1 : 1 + step.rows]

    async def counters(self, ctx) -> dict[str, int]:
        ctx.set(self.dut.phase.save, 1)
        await ctx.tick()
        ctx.set(self.dut.phase.save, 0)
        await ctx.tick().repeat(SETTLE_CYCLES - 1)
        return {
            name: await self.read(ctx, Memory.COUNTERS, index)
            for index, name in enumerate(PE_COUNTERS)
        }

    async def record(self, ctx) -> None:
        """Every write of a sum, in all lanes."""
        writes = [mac.write for mac in self.macs[-self.config.lanes :]]
        ports = [port for write in writes for port in (write.enable, write.address, write.data)]
        await recorder(self.written, *ports)(ctx)

    @property
    def updates(self) -> int:
        """Writes of sums, in all lanes."""
        return sum(sum(cycle[::3]) for cycle in self.written)

    def last_sums(self) -> np.ndarray:
        """What was written last into each row of each lane, shape (lanes, rows)."""
        found = np.zeros((self.config.lanes, self.step.descriptor.rows), np.int64)
        for cycle in self.written:
            for lane in range(self.config.lanes):
                on, row, total = cycle[3 * lane : 3 * lane + 3]
                if on:
                    found[lane, row] = total
        return found

    async def assert_activations(self, ctx, totals: np.ndarray) -> None:
        """What this PE keeps of the layer's outputs is in the second half, in every lane."""
        config, step = self.config, self.step.descriptor
        clusters = 1 << step.split
        mine = totals[:, self.cluster :: clusters]
        biases = self.segment.biases[self.number, step.bias_base :][: mine.shape[1]]
        scale = (step.multiplier, step.shift)
        model = requantize(mine, biases, *scale, act_bits=config.act_bits, relu=step.relu)
        for (lane, row), wanted in np.ndenumerate(model):
            address = (lane * 2 + 1) << config.act_row_bits | step.output_base + row
            word = await self.read(ctx, Memory.ACTIVATIONS, address)
            assert word == int(wanted) & (1 << config.act_bits) - 1, (lane, row)
