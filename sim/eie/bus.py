"""The Port of the EIE array, on top of any executor."""

import numpy as np

from sim.eie.design import EIE
from sim.executor import Executor
from spec.eie.config import EieConfig
from spec.eie.iomap import pack_reads, pack_writes
from sw.host.eie.port import check_ahead, check_request
from sw.host.port import Words, check_cycles


class EieBus(Executor):
    """:class:`sw.host.eie.port.Port`; a run takes writes, and gives no words."""

    design = EIE
    config: EieConfig

    def write(self, memory: int, pe: Words, address: Words, data: Words) -> None:
        """Write words; the arguments broadcast against each other."""
        check_request(self.config, memory, pe, address, data)
        self._send(pack_writes(self.config, memory, pe, address, data))

    def read(self, memory: int, pe: Words, address: Words) -> np.ndarray:
        """Read words, in the shape that ``pe`` and ``address`` broadcast to."""
        check_request(self.config, memory, pe, address)
        shape = np.broadcast_shapes(np.shape(pe), np.shape(address))
        return self._ask(pack_reads(self.config, memory, pe, address)).reshape(shape)

    def run(self, max_cycles: int, ahead: np.ndarray | None = None) -> tuple[int, int]:
        """Start the array, send writes, and wait until it is done: cycles, error code."""
        check_cycles(max_cycles)
        answer = self._run(int(max_cycles), check_ahead(self.config, ahead))
        return answer.cycles, answer.error
