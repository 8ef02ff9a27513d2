"""The bus driver: runs images on anything behind a :class:`sw.host.eie.port.Port`."""

from collections.abc import Sequence

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.eie.cycles import PassCounts, control_cycles, drain_cycles
from spec.eie.descriptor import cluster_columns
from spec.eie.iomap import Error, Memory, array_counter_bits, pe_counter_bits
from spec.eie.loading import Turn, plan_turns
from spec.eie.program import Program, Run, Segment, Slice, run_bits
from spec.eie.vectors import Vectors, empty_outputs, order_of_runs, steps_of
from sw.host.device import BaseDevice, DeviceError, Tick
from sw.host.eie.port import Port
from sw.host.eie.words import Writes, arming_writes, feed_writes, pack, segment_writes
from sw.host.port import PortError, stopped_with

Counts = tuple[np.ndarray, np.ndarray]
"""Counters of one pass at one time: of the PEs, and of the array."""

SLACK_CYCLES = 1000
"""What :func:`most_cycles` allows beyond its own count."""


class BusDevice(BaseDevice[Program, PassCounts]):
    """Loads memories, feeds activations, starts the array, and fetches results, word by word.

    For each group of ``config.lanes`` images all runs are made in order, as in
    :class:`spec.eie.golden.GoldenModel`, and :func:`spec.eie.loading.plan_turns` says which segment
    is written when: before a run, or during the one before.

    Every run is checked: the array must end in time and without an error code, its own counters
    must add up to the busy cycles that the port counted, and to the words that were written.

    Parameters
    ----------
    port : Port
    name : str
        What users and reports call the device.
    """

    def __init__(self, port: Port, name: str) -> None:
        super().__init__(port.config, name, port.tools, paced=port.paced)
        self.port = port
        self._forget()

    def close(self) -> None:
        self.port.close()

    def _forget(self) -> None:
        """Whatever state the array is in: begin anew."""
        self._resident: Segment | None = None
        self._clean = False
        self._written = 0

    def _take(self, image: Program) -> None:
        self._forget()

    def _execute(
        self, image: Program, batch: np.ndarray, tick: Tick
    ) -> tuple[np.ndarray, list[PassCounts]]:
        lanes, steps = self.config.lanes, steps_of(image, batch)
        order = order_of_runs(image, steps)
        firsts = range(0, len(batch), lanes)
        turns = plan_turns(self.config, order * len(firsts), self._resident)
        outputs = [empty_outputs(image, steps)]
        log = _Log(image)
        try:
            for number, first in enumerate(firsts):
                images = batch[first : first + lanes]
                own = turns[number * len(order) : (number + 1) * len(order)]
                outputs.append(self._run_lanes(image, images, own, log))
                tick(len(images))
        except BaseException as error:
            self._forget()
            if isinstance(error, PortError):
                raise DeviceError(f"{self.name}: {error}") from error
            raise
        if turns:
            self._resident = turns[-1].segment
        return np.concatenate(outputs), log.counts()

    def _run_lanes(
        self, image: Program, images: np.ndarray, turns: Sequence[Turn], log: "_Log"
    ) -> np.ndarray:
        """One image per lane through all runs, zeros in the lanes that are left: outputs."""
        if not self._clean:
            self.port.reset()
            self._clean = True
        vectors = Vectors(image, images)
        for turn in turns:
            log.add(turn.run, *self._take_turn(turn, vectors))
            if turn.run.fetch:
                vectors.fetch(turn.run.fetch, self._fetch(turn.run, turn.run.fetch))
        return vectors.outputs

    def _take_turn(self, turn: Turn, vectors: Vectors) -> tuple[np.ndarray, np.ndarray]:
        """Load, feed, arm, compute; the counters of the run's passes, of PEs and of the array."""
        config, segment, run = self.config, turn.segment, turn.run
        if turn.load:
            for writes in segment_writes(config, segment):
                self._write(writes)
        if run.feed:
            self._write(feed_writes(config, vectors.inputs[run.feed.layer], run.feed))
        self._write(arming_writes(config, segment, run))
        ahead = pack(config, segment_writes(config, turn.ahead)) if turn.ahead else None
        busy = self._compute(most_cycles(config, segment, run), ahead)
        in_pe, in_array = self._read_counters(segment.first_pass(config, run), len(run.passes))
        self._check(busy, in_array)
        self._written = 0 if ahead is None else len(ahead)
        return in_pe, in_array

    # The bus ------------------------------------------------------------------------------------

    def _write(self, writes: Writes) -> None:
        """Write words, and count them."""
        words = np.broadcast(writes.pe, writes.address, writes.data).size
        if words:
            self.port.write(*writes)
            self._written += words

    def _compute(self, limit: int, ahead: np.ndarray | None) -> int:
        """Start, wait, and return how long the array was busy."""
        busy, code = self.port.run(limit, ahead)
        if code == Error.NONE:
            return busy
        raise DeviceError(f"{self.name} {stopped_with(Error, code)}")

    def _fetch(self, run: Run, fetch: Slice) -> np.ndarray:
        """Read part of a layer's outputs from the half that the last drain wrote: lanes, values."""
        config = self.config
        pes, rows = np.arange(config.pes), np.arange(-(-fetch.count // config.pes))
        halves = np.arange(config.lanes) * 2 + run.final_half
        addresses = (halves[:, None] << config.act_row_bits | rows)[:, :, None]
        words = self._read(Memory.ACTIVATIONS, pes[None, None, :], addresses)
        words = words.reshape(config.lanes, -1)[:, : fetch.count]
        # Bring the sign bit to the top, and back with copies of itself.
        unused = np.int64(64 - config.act_bits)
        return (words << unused) >> unused

    def _read_counters(self, first: int, passes: int) -> tuple[np.ndarray, np.ndarray]:
        """Counters of all PEs, (passes, pes, counters), and of central control."""
        number = first + np.arange(passes)
        pes = np.arange(self.config.pes)[None, :, None]
        addresses = (number << pe_counter_bits())[:, None, None] | np.arange(len(PE_COUNTERS))
        in_pe = self._read(Memory.COUNTERS, pes, addresses)
        addresses = (number << array_counter_bits())[:, None] | np.arange(len(ARRAY_COUNTERS))
        return in_pe, self._read(Memory.CONTROL, np.zeros((1, 1), np.int64), addresses)

    def _read(self, memory: Memory, pe: np.ndarray, address: np.ndarray) -> np.ndarray:
        """Read words as int64, in the shape that ``pe`` and ``address`` broadcast to."""
        return self.port.read(memory, pe, address).astype(np.int64)

    # Checks -------------------------------------------------------------------------------------

    def _check(self, busy: int, in_array: np.ndarray) -> None:
        """The counters must be what the port saw and the driver wrote: nobody marks their own
        work."""
        counted = in_array.sum(axis=0)
        cycles, loads = (int(counted[ARRAY_COUNTERS.index(name)]) for name in ("cycles", "loads"))
        for found, wanted, what in (
            (cycles, busy, f"busy for {busy} cycles"),
            (loads, self._written, f"loaded with {self._written} words"),
        ):
            if found == wanted:
                continue
            if wanted >> self.config.counter_bits:
                bits = self.config.counter_bits
                raise DeviceError(f"{self.name}: {what}, which overflowed counters of {bits} bits")
            raise DeviceError(f"{self.name}: {what}, but its own counters say {found}")


class _Log:
    """Counters as they come in, run by run; a run that is repeated adds to those of its passes."""

    def __init__(self, program: Program) -> None:
        self._config = program.config
        self._first: dict[int, int] = {}
        self._in_pe: list[list[np.ndarray]] = []
        self._in_array: list[list[np.ndarray]] = []
        for _, run in program.runs():
            self._first[id(run)] = len(self._in_pe)
            self._in_pe += [[] for _ in run.passes]
            self._in_array += [[] for _ in run.passes]

    def add(self, run: Run, in_pe: np.ndarray, in_array: np.ndarray) -> None:
        """Counters of a run: (passes, pes, counters) and (passes, counters)."""
        first = self._first[id(run)]
        for number, (pe, array) in enumerate(zip(in_pe, in_array, strict=True), first):
            self._in_pe[number].append(pe)
            self._in_array[number].append(array)

    def counts(self) -> list[PassCounts]:
        """Of every pass of the program."""
        pes = self._config.pes
        return [
            PassCounts(
                np.array(pe, np.int64).reshape(-1, pes, len(PE_COUNTERS)),
                np.array(array, np.int64).reshape(-1, len(ARRAY_COUNTERS)),
            )
            for pe, array in zip(self._in_pe, self._in_array, strict=True)
        ]


def most_cycles(config: EieConfig, segment: Segment, run: Run) -> int:
    """More cycles than a run can take, so that a hang is told from a long run.

    As if nothing overlapped: every row scanned, every column broadcast and looked up on its own,
    and every entry of every PE read after those of all other PEs.
    """
    total = SLACK_CYCLES
    for step in run.passes:
        descriptor = step.descriptor
        total += int(control_cycles(config)) + descriptor.input_rows + 8 * descriptor.columns
        total += drain_cycles(config, descriptor)
        # Each pointer is a line, and a slot in it.
        first = descriptor.pointer_base - segment.bases(config).pointers
        last = first + cluster_columns(config, step.inputs, descriptor.split)
        line, slot = np.divmod(segment.pointers[:, [first, last]], 1 << config.slot_bits)
        entries = line.astype(np.int64) * config.entries_per_line(run_bits(config, descriptor))
        entries += slot
        total += int(np.clip(entries[:, 1] - entries[:, 0], 0, None).sum())
    return total
