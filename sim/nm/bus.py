"""The Port of the N:M array, on top of any executor."""

import numpy as np

from sim.executor import Executor
from sim.nm.design import NM
from spec.nm.config import NmConfig
from spec.nm.iomap import pack_reads, pack_writes
from sw.host.nm.port import Ran, check_loads, check_request
from sw.host.port import Words, check_cycles


class NmBus(Executor):
    """:class:`sw.host.nm.port.Port`; a run takes the load stream, and gives the number of its words
    that the array took, then the result stream."""

    design = NM
    config: NmConfig

    def write(self, memory: int, address: Words, data: Words) -> None:
        """Write words; the arguments broadcast against each other."""
        check_request(self.config, memory, address, data)
        self._send(pack_writes(self.config, memory, address, data))

    def read(self, memory: int, address: Words) -> np.ndarray:
        """Read words, in the shape of ``address``."""
        check_request(self.config, memory, address)
        return self._ask(pack_reads(self.config, memory, address)).reshape(np.shape(address))

    def run(self, max_cycles: int, loads: np.ndarray) -> Ran:
        """Start the array, and serve both streams until it is done."""
        check_cycles(max_cycles)
        answer = self._run(int(max_cycles), check_loads(self.config, loads))
        results = answer.words[1:].reshape(-1, self.config.result_limbs)
        return Ran(answer.cycles, answer.error, int(answer.words[0]), results)
