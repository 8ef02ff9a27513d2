"""A port with the clocked array behind it, in plain Python; and what may go wrong with one.

It shares field layouts with :mod:`spec`, nothing else: the array's words are walked and its
registers stepped (``tests/spec/nm/clocked.py``). So a :class:`sw.host.nm.driver.BusDevice` on it
is an independent opinion on the golden model.
"""

from collections.abc import Callable

import numpy as np

from spec.nm.config import NmConfig
from spec.nm.counters import COUNTERS
from spec.nm.descriptor import Descriptor, descriptor_words
from spec.nm.iomap import Error, Memory
from spec.nm.stream import pack_results
from sw.host.nm.port import Ran
from sw.host.port import PortError, StillBusyError, Words
from tests.spec.nm.clocked import Clocked

Pace = Callable[[], bool]


def steady() -> bool:
    """Always."""
    return True


class FakePort:
    """What :class:`sw.host.nm.port.Port` asks for; the public attributes below say what it does
    wrong, and what it was asked.

    Attributes
    ----------
    offered, taken : callable
        Whether the load stream offers a word in a cycle, and whether a result is taken.
    lies : dict
        What is added to each counter, also to ``port``, the cycles that the port counts itself.
    untaken, lost : int
        Words of the load stream that it says were not taken; results that do not arrive.
    error, hang, dead
        Of the next runs.
    """

    def __init__(self, config: NmConfig, offered: Pace = steady, taken: Pace = steady) -> None:
        self.config = config
        self.tools = {"fake": "1"}
        self.offered, self.taken = offered, taken
        self.paced = offered is steady and taken is steady
        self.lies = dict.fromkeys((*COUNTERS, "port"), 0)
        self.untaken = self.lost = 0
        self.error: int = Error.NONE
        self.hang = self.dead = self.closed = False
        self.resets = 0
        self.limits: list[int] = []
        self.cycles: list[int] = []
        self.descriptors: list[Descriptor] = []
        self._stuck = False
        self._words: dict[int, int] = {}
        self._counts: dict[str, int] = {}

    def reset(self) -> None:
        self._alive()
        self.resets += 1
        self._stuck = False
        self._words.clear()

    def close(self) -> None:
        self.closed = True

    def write(self, memory: int, address: Words, data: Words) -> None:
        self._alive()
        assert memory == Memory.DESCRIPTOR
        assert isinstance(data, np.ndarray)
        assert data.dtype == np.uint64
        addresses, words = np.broadcast_arrays(address, data)
        self._words |= zip(addresses.tolist(), words.tolist(), strict=True)

    def read(self, memory: int, address: Words) -> np.ndarray:
        self._alive()
        assert memory == Memory.COUNTERS
        names = [COUNTERS[at] for at in np.ravel(address)]
        found = [self._counts[name] + self.lies[name] for name in names]
        return np.array(found, np.uint64).reshape(np.shape(address))

    def run(self, max_cycles: int, loads: np.ndarray) -> Ran:
        self._alive()
        assert not self._stuck, "the run before goes on"
        assert (loads.dtype, loads.shape[1:]) == (np.uint64, (self.config.limbs,))
        self.limits.append(max_cycles)
        if self.hang:
            self._stuck = True
            raise StillBusyError(max_cycles)
        if self.error:
            return Ran(1, self.error, 0, np.zeros((0, self.config.result_limbs), np.uint64))
        words = [self._words[at] for at in range(descriptor_words(self.config))]
        self.descriptors.append(Descriptor.unpack(words, self.config))
        array = Clocked(self.config, self.descriptors[-1], loads, self.offered, self.taken)
        array.run(max_cycles)
        self._counts = array.counts
        self.cycles.append(array.counts["cycles"])
        results = pack_results(self.config, np.array(array.results))
        return Ran(
            cycles=array.counts["cycles"] + self.lies["port"],
            error=Error.NONE,
            taken=len(loads) - len(array.words) - self.untaken,
            results=results[: len(results) - self.lost],
        )

    def _alive(self) -> None:
        if self.dead:
            raise PortError("the simulator process was ended by signal SIGKILL")
