"""The bus driver: runs layers on anything behind a :class:`sw.host.nm.port.Port`."""

import numpy as np

from spec.nm.config import NmConfig
from spec.nm.counters import CAUSES, COUNTERS
from spec.nm.cycles import RunCounts
from spec.nm.descriptor import Descriptor
from spec.nm.golden import check_acts
from spec.nm.iomap import Error, Memory
from spec.nm.program import Program
from spec.nm.stream import load_words, order_results, result_count, unpack_results
from sw.host.device import DeviceError
from sw.host.nm.device import NmDevice
from sw.host.nm.port import Port, Ran
from sw.host.port import PortError, stopped_with

SLACK_CYCLES = 1000
"""What :func:`most_cycles` allows beyond its own count: the pipeline is far shorter."""

WORD_CYCLES = 16
"""What it allows for a word of a stream: twice the mean of one that pauses in seven of eight
cycles."""


class BusDevice(NmDevice):
    """Writes a descriptor, serves both streams, reads counters, and puts results in place.

    Every run is checked: the array must end in time and without an error code; it must have taken
    exactly the words of its load stream and given all results; and its own counters must say so,
    and add up to the busy cycles that the port counted.

    Parameters
    ----------
    port : Port
    name : str
        What users and reports call the device.
    """

    def __init__(self, port: Port, name: str) -> None:
        super().__init__(port.config, name, port.tools, paced=port.paced)
        self.port = port
        self._clean = False

    def close(self) -> None:
        self.port.close()

    def _take(self, image: Program) -> None:
        """Strips are streamed in by every run anew."""

    def _run_layer(
        self, image: Program, number: int, acts: np.ndarray
    ) -> tuple[np.ndarray, RunCounts]:
        acts = check_acts(image, number, acts)
        layer = image.layers[number]
        descriptor = image.descriptor(number, len(acts))
        loads = load_words(image, number, descriptor, acts)
        limit = most_cycles(self.config, descriptor, image.steps(number), len(loads))
        # Whatever state a failure leaves the array in: begin anew.
        clean, self._clean = self._clean, False
        try:
            if not clean:
                self.port.reset()
            ran, counts = self._run(descriptor, loads, limit)
            self._check(descriptor, len(loads), ran, counts)
        except (PortError, DeviceError) as error:
            raise DeviceError(f"{self.name}: layer {layer.name}: {error}") from error
        self._clean = True
        words = unpack_results(self.config, ran.results)
        results = order_results(self.config, descriptor, words, layer.outputs, len(acts))
        return image.in_place(number, results), counts

    def _run(self, descriptor: Descriptor, loads: np.ndarray, limit: int) -> tuple[Ran, RunCounts]:
        """Descriptor, run, counters."""
        words = np.array(descriptor.pack(self.config), np.uint64)
        self.port.write(Memory.DESCRIPTOR, np.arange(len(words)), words)
        ran = self.port.run(limit, loads)
        if ran.error != Error.NONE:
            raise DeviceError(stopped_with(Error, ran.error))
        counted = self.port.read(Memory.COUNTERS, np.arange(len(COUNTERS)))
        return ran, RunCounts(tuple(counted.tolist()))

    def _check(self, descriptor: Descriptor, loads: int, ran: Ran, counts: RunCounts) -> None:
        """Streams must have moved as a whole, and the counters must be what the port saw: nobody
        marks their own work."""
        results = result_count(self.config, descriptor)
        if ran.taken != loads:
            raise DeviceError(f"it took {ran.taken} words of the load stream, there are {loads}")
        if ran.results.shape != (results, self.config.result_limbs):
            raise DeviceError(f"it gave {len(ran.results)} words of results, must be {results}")
        for name, wanted, what in (
            ("cycles", ran.cycles, f"busy for {ran.cycles} cycles"),
            ("loads", loads, f"it took {loads} words"),
            ("results", results, f"it gave {results} results"),
        ):
            found, bits = counts.of(name), self.config.counter_bits
            if found == wanted:
                continue
            if wanted >> bits:
                raise DeviceError(f"{what}, which overflowed counters of {bits} bits")
            raise DeviceError(f"{what}, but its own counters say {found}")
        causes = sum(counts.of(name) for name in CAUSES)
        if causes != ran.cycles:
            raise DeviceError(f"busy for {ran.cycles} cycles, but its causes add up to {causes}")


def most_cycles(config: NmConfig, descriptor: Descriptor, steps: np.ndarray, loads: int) -> int:
    """More cycles than a run can take, so that a hang is told from a long run.

    As if every step came behind all words of both streams, each waited for by itself. (Whatever
    else takes time, draining and releasing banks, is less than what words of results are given.)

    Parameters
    ----------
    steps : integers, shape (strips,)
        Of each strip.
    loads : int
        Words of the load stream.
    """
    words = loads + result_count(config, descriptor)
    return SLACK_CYCLES + WORD_CYCLES * words + descriptor.tiles * int(steps.sum())
