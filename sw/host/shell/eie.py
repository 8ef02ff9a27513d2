"""The port of an EIE array behind a shell."""

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.iomap import Memory, pack_reads, pack_writes
from spec.messages import Kind
from spec.registers.table import EIE, Source
from sw.host.eie.port import check_ahead, check_request
from sw.host.port import PortError, Words, check_cycles
from sw.host.shell.client import Shell


class EiePort:
    """As :class:`sw.host.eie.port.Port`.

    Parameters
    ----------
    shell : Shell
    """

    paced = True  # the array stands still while the link is slow

    def __init__(self, shell: Shell) -> None:
        config = shell.configs[EIE]
        assert isinstance(config, EieConfig)
        self.config = config
        self.shell = shell
        self.tools = shell.link.tools

    def reset(self) -> None:
        self.shell.reset()

    def write(self, memory: int, pe: Words, address: Words, data: Words) -> None:
        check_request(self.config, memory, pe, address, data)
        self.shell.send(EIE, Kind.WRITE, pack_writes(self.config, memory, pe, address, data))

    def read(self, memory: int, pe: Words, address: Words) -> np.ndarray:
        check_request(self.config, memory, pe, address)
        shape = np.broadcast_shapes(np.shape(pe), np.shape(address))
        words = self.shell.ask(EIE, pack_reads(self.config, memory, pe, address))
        return words.reshape(shape)

    def run(self, max_cycles: int, ahead: np.ndarray | None = None) -> tuple[int, int]:
        check_cycles(max_cycles)
        ahead = check_ahead(self.config, ahead)
        # An answer comes behind all writes that were sent before: now they are done.
        self.read(Memory.CONTROL, 0, 0)
        self.shell.write("FEED", len(ahead))
        self.shell.pulse("START_EIE")
        if len(ahead):
            self.shell.send(EIE, Kind.WRITE, ahead)
        self.shell.wait(EIE, max_cycles)
        return self.shell.read("CYCLES"), code_of(self.shell, Source.EIE)

    def close(self) -> None:
        self.shell.link.close()


def code_of(shell: Shell, source: Source) -> int:
    """An array's error code; an error of anyone else is a failure."""
    found, code = shell.error()
    if found not in (Source.NONE, source):
        raise PortError(f"the shell reports error {code} of {Source(found).meaning}")
    return code
