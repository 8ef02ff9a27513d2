"""The bus driver: runs images on anything behind a :class:`sw.host.port.Port`."""

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.eie.cycles import PassCounts, control_cycles, drain_cycles
from spec.eie.iomap import (
    Error,
    Memory,
    array_counter_bits,
    descriptor_word_bits,
    pe_counter_bits,
)
from spec.eie.program import Program, Segment, Slice
from sw.host.device import BaseDevice, DeviceError, Tick
from sw.host.port import Port, PortError

SLACK_CYCLES = 1000
"""What :func:`most_cycles` allows beyond its own count."""


class BusDevice(BaseDevice):
    """Loads memories, feeds activations, starts the array, and fetches results, word by word.

    For each image all segments run in order, as in :class:`spec.eie.golden.GoldenModel`; memories
    are written again only when another segment is due: an image with one segment is loaded once.

    Every run is checked: the array must end in time and without an error code, and its own counters
    must add up to the busy cycles that the port counted.

    Parameters
    ----------
    port : Port
    name : str
        What users and reports call the device.
    """

    def __init__(self, port: Port, name: str) -> None:
        super().__init__(port.config, name, port.tools)
        self.port = port
        self._segment: Segment | None = None
        self._clean = False

    def close(self) -> None:
        self.port.close()

    def _take(self, image: Program) -> None:
        self._segment, self._clean = None, False

    def _execute(
        self, image: Program, batch: np.ndarray, tick: Tick
    ) -> tuple[np.ndarray, list[PassCounts]]:
        outputs = np.zeros((len(batch), image.outputs), np.int64)
        passes = sum(1 for _ in image.passes())
        in_pe = np.zeros((passes, len(batch), self.config.pes, len(PE_COUNTERS)), np.int64)
        in_array = np.zeros((passes, len(batch), len(ARRAY_COUNTERS)), np.int64)
        for number, acts in enumerate(batch):
            try:
                outputs[number] = self._run_image(
                    image, acts, in_pe[:, number], in_array[:, number]
                )
            except BaseException as error:
                # Whatever state the array is in now: begin anew.
                self._segment, self._clean = None, False
                if isinstance(error, PortError):
                    raise DeviceError(f"{self.name}: {error}") from error
                raise
            tick(1)
        return outputs, [PassCounts(*counts) for counts in zip(in_pe, in_array, strict=True)]

    def _run_image(
        self, image: Program, acts: np.ndarray, in_pe: np.ndarray, in_array: np.ndarray
    ) -> np.ndarray:
        """One image through all segments; fills the counters of its passes."""
        if not self._clean:
            self.port.reset()
            self._clean = True
        vectors = [acts, *(np.zeros(layer.outputs, np.int64) for layer in image.layers)]
        done = 0
        for segment in image.segments:
            if segment is not self._segment:
                self._load_segment(segment)
            if segment.feed:
                self._feed(vectors[segment.feed.layer], segment.feed)
            busy = self._compute(segment)
            span = slice(done, done + len(segment.passes))
            in_pe[span], in_array[span] = self._read_counters(len(segment.passes))
            self._check_cycles(busy, in_array[span])
            if segment.fetch:
                fetch = segment.fetch
                target = vectors[fetch.layer + 1]
                target[fetch.first : fetch.first + fetch.count] = self._fetch(segment, fetch)
            done = span.stop
        return vectors[-1]

    # Memories ---------------------------------------------------------------------------------

    def _load_segment(self, segment: Segment) -> None:
        """Write every memory, then descriptors; the number of passes, at last, arms the array."""
        config = self.config
        self._segment = None
        books, codes = segment.codebooks.shape
        addresses = (np.arange(books)[:, None] << config.code_bits | np.arange(codes)).ravel()
        self._write_rows(Memory.CODEBOOK, segment.codebooks.reshape(1, -1), addresses)
        self._write_rows(Memory.BIASES, segment.biases)
        self._write_rows(Memory.POINTERS, segment.pointers)
        self._write_rows(Memory.LINES, segment.lines)
        words = np.array([step.descriptor.pack(config) for step in segment.passes], np.uint64)
        addresses = np.arange(words.shape[0])[:, None] << descriptor_word_bits(config)
        addresses = (addresses | np.arange(words.shape[1])).ravel()
        self.port.write(Memory.DESCRIPTORS, np.zeros(1, np.int64), addresses, words.ravel())
        one = np.array([len(segment.passes)], np.uint64)
        self.port.write(Memory.CONTROL, np.zeros(1, np.int64), np.zeros(1, np.int64), one)
        self._segment = segment

    def _write_rows(
        self, memory: Memory, words: np.ndarray, addresses: np.ndarray | None = None
    ) -> None:
        """Write a row of words to each PE, or one row to all; signed words in two's complement."""
        if words.size == 0:
            return
        addresses = np.arange(words.shape[1]) if addresses is None else addresses
        pes = np.arange(self.config.pes)[:, None]
        self.port.write(memory, pes, addresses[None, :], words.astype(np.uint64))

    def _feed(self, vector: np.ndarray, feed: Slice) -> None:
        """Write part of a layer's input into whole rows of half 0, zeros behind it."""
        pes = self.config.pes
        rows = -(-feed.count // pes)
        padded = np.zeros(rows * pes, np.int64)
        padded[: feed.count] = vector[feed.first : feed.first + feed.count]
        self._write_rows(Memory.ACTIVATIONS, padded.reshape(rows, pes).T)

    def _fetch(self, segment: Segment, fetch: Slice) -> np.ndarray:
        """Read part of a layer's output from the half that the last drain wrote."""
        config = self.config
        rows = np.arange(-(-fetch.count // config.pes))
        addresses = segment.final_half << config.act_row_bits | rows
        words = self._read(Memory.ACTIVATIONS, np.arange(config.pes)[None, :], addresses[:, None])
        # Bring the sign bit to the top, and back with copies of itself.
        unused = np.int64(64 - config.act_bits)
        return (words.ravel()[: fetch.count] << unused) >> unused

    # Running ----------------------------------------------------------------------------------

    def _compute(self, segment: Segment) -> int:
        """Start, wait, and return how long the array was busy."""
        busy, code = self.port.run(most_cycles(self.config, segment))
        if code == Error.NONE:
            return busy
        known = [error for error in Error if error == code]
        text = f"{known[0].name}: {known[0].meaning}" if known else "which the driver does not know"
        raise DeviceError(f"{self.name} stopped with error {code}, {text}")

    def _read_counters(self, passes: int) -> tuple[np.ndarray, np.ndarray]:
        """Counters of all PEs, (passes, pes, counters), and of central control."""
        number = np.arange(passes)
        pes = np.arange(self.config.pes)[None, :, None]
        addresses = (number << pe_counter_bits())[:, None, None] | np.arange(len(PE_COUNTERS))
        in_pe = self._read(Memory.COUNTERS, pes, addresses)
        addresses = (number << array_counter_bits())[:, None] | np.arange(len(ARRAY_COUNTERS))
        return in_pe, self._read(Memory.CONTROL, np.zeros((1, 1), np.int64), addresses)

    def _read(self, memory: Memory, pe: np.ndarray, address: np.ndarray) -> np.ndarray:
        """Read words as int64, in the shape that ``pe`` and ``address`` broadcast to."""
        return self.port.read(memory, pe, address).astype(np.int64)

    def _check_cycles(self, busy: int, in_array: np.ndarray) -> None:
        """The counters' cycles must be those that the port saw: nobody marks their own work."""
        counted = int(in_array[:, ARRAY_COUNTERS.index("cycles")].sum())
        if counted == busy:
            return
        if busy >> self.config.counter_bits:
            raise DeviceError(
                f"{self.name}: a run of {busy} cycles overflowed counters of "
                f"{self.config.counter_bits} bits"
            )
        raise DeviceError(
            f"{self.name}: busy for {busy} cycles, but its own counters say {counted}"
        )


def most_cycles(config: EieConfig, segment: Segment) -> int:
    """More cycles than a segment can take, so that a hang is told from a long run.

    As if nothing overlapped: every row scanned, every column broadcast and looked up on its own,
    and every entry of every PE read after those of all other PEs.
    """
    total = SLACK_CYCLES
    for step in segment.passes:
        descriptor = step.descriptor
        base = descriptor.pointer_base
        pointers = segment.pointers[:, [base, base + step.inputs]].astype(np.int64)
        entries = int(np.clip(pointers[:, 1] - pointers[:, 0], 0, None).sum())
        total += control_cycles(config) + descriptor.input_rows + 8 * descriptor.columns + entries
        total += drain_cycles(descriptor)
    return total
