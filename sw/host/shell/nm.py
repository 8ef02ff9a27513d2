"""The port of an N:M array behind a shell."""

import numpy as np

from spec.messages import Kind, join, words_for
from spec.nm.config import NmConfig
from spec.nm.iomap import Memory, pack_reads, pack_writes
from spec.registers.table import NM, Source
from sw.host.nm.port import Ran, check_loads, check_request
from sw.host.port import Words, check_cycles
from sw.host.shell.client import Shell
from sw.host.shell.eie import code_of


class NmPort:
    """As :class:`sw.host.nm.port.Port`.

    Parameters
    ----------
    shell : Shell
    """

    paced = True  # the array stands still while the link is slow

    def __init__(self, shell: Shell) -> None:
        config = shell.configs[NM]
        assert isinstance(config, NmConfig)
        self.config = config
        self.shell = shell
        self.tools = shell.link.tools

    def reset(self) -> None:
        self.shell.reset()

    def write(self, memory: int, address: Words, data: Words) -> None:
        check_request(self.config, memory, address, data)
        self.shell.send(NM, Kind.WRITE, pack_writes(self.config, memory, address, data))

    def read(self, memory: int, address: Words) -> np.ndarray:
        check_request(self.config, memory, address)
        words = self.shell.ask(NM, pack_reads(self.config, memory, address))
        return words.reshape(np.shape(address))

    def run(self, max_cycles: int, loads: np.ndarray) -> Ran:
        check_cycles(max_cycles)
        loads = check_loads(self.config, loads)
        shell, per_result = self.shell, words_for(self.config.lane_bits)
        # An answer comes behind all writes that were sent before: now they are done.
        self.read(Memory.COUNTERS, 0)
        shell.write("FEED", len(loads))
        shell.pulse("START_NM")
        if len(loads):
            shell.send(NM, Kind.LOAD, loads)
        shell.wait(NM, max_cycles)
        count = shell.read("NM_RESULTS") * per_result
        results = join(shell.link.receive(count), self.config.lane_bits)
        return Ran(shell.read("CYCLES"), code_of(shell, Source.NM), shell.read("TAKEN"), results)

    def close(self) -> None:
        self.shell.link.close()
