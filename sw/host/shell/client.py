"""A shell as the driver sees it: registers by name, and the arrays behind it."""

from collections.abc import Sequence

import numpy as np

from spec.config import Config
from spec.errors import UserError
from spec.messages import Kind, answer_words, header, join, message
from spec.registers.table import BITS, ENGINES, IDENTITY, VERSION, Register, registers
from sw.host.port import PortError, StillBusyError
from sw.host.shell.link import Link

POLLS = 10_000
"""Looks at a status in which nothing has changed before the shell is called dead."""


class Shell:
    """Checks what is there, and speaks to it.

    Parameters
    ----------
    link : Link
    configs : sequence of EieConfig and NmConfig
        What is expected there: one engine, or one of each.

    Raises
    ------
    PortError
        There is no Skipstone, or one with other registers.
    UserError
        It has other engines or configurations.
    """

    def __init__(self, link: Link, configs: Sequence[Config]) -> None:
        self.link = link
        self.configs = {config.engine: config for config in configs}
        self.table = {one.name: one for one in registers(configs)}
        self._check_identity()
        for config in configs:
            self._check_digest(config)

    def _check_identity(self) -> None:
        found = self.read("IDENTITY")
        if found != IDENTITY:
            raise PortError(f"no Skipstone answers: the first register is 0x{found:08X}")
        major, minor = divmod(self.read("VERSION"), 1 << 16)
        if major != VERSION[0] or minor < VERSION[1]:
            ours = ".".join(map(str, VERSION))
            raise PortError(f"its registers are of version {major}.{minor}, the driver's of {ours}")

    def _check_digest(self, config: Config) -> None:
        there = self.read("ENGINES")
        place = [one.engine for one in ENGINES].index(config.engine)
        if not there >> place & 1:
            raise UserError(f"the device has no array of the engine {config.engine}")
        prefix = config.engine.upper()
        high, low = (self.read(f"{prefix}_DIGEST_{half}") for half in ("HIGH", "LOW"))
        digest = f"{high:08x}{low:08x}"
        if digest != config.digest:
            raise UserError(
                f"the device's {config.engine} array has configuration {digest}, "
                f"expected is {config.digest}"
            )

    # Registers

    def read(self, name: str) -> int:
        """A register by name; a counter by its name without ``_LOW``, as a whole."""
        if name in self.table:
            return self.link.read32(self.table[name].address)
        low, high = (self.table[f"{name}_{half}"] for half in ("LOW", "HIGH"))
        if high.constant:
            return self.link.read32(low.address)
        while True:
            # A counter that moves may carry between two looks.
            above, found = (self.link.read32(half.address) for half in (high, low))
            if self.link.read32(high.address) == above:
                return above << BITS | found

    def write(self, name: str, word: int) -> None:
        """A register by name."""
        self.link.write32(self.table[name].address, word)

    def field(self, name: str, field: str) -> int:
        """A field of a register."""
        register = self.table[name]
        (bits,) = (one for one in register.fields if one.name == field)
        return (self.read(name) & bits.mask) >> bits.low

    def pulse(self, field: str) -> None:
        """Write a one to a field of ``CONTROL``."""
        register: Register = self.table["CONTROL"]
        (bits,) = (one for one in register.fields if one.name == field)
        self.write("CONTROL", bits.mask)

    # Messages

    def send(self, engine: str, kind: Kind, items: np.ndarray) -> None:
        """A message of items."""
        self.link.send(message(self.configs[engine], kind, items))

    def ask(self, engine: str, items: np.ndarray) -> np.ndarray:
        """Answers to read requests, uint64."""
        self.send(engine, Kind.READ, items)
        return join(self.link.receive(len(items) * answer_words()), BITS * answer_words()).ravel()

    # State

    def reset(self) -> None:
        """Reset arrays and streams, whatever state they are in, and wait until they are ready."""
        self.link.drop()
        self.pulse("RESET")
        # Words may have come up to then.
        self.link.drop()
        engine = next(iter(self.configs))
        for _ in range(POLLS):
            if self.field("STATUS", "RECEIVING"):
                # It waits for the end of a message that will not come: an empty one has an end.
                self.link.send(np.array([header(engine, Kind.WRITE)], np.uint32))
            elif not any(self.busy(engine) for engine in self.configs):
                return
        raise PortError("reset: the array is not ready")

    def wait(self, engine: str, max_cycles: int) -> None:
        """Wait for the end of a run.

        Raises
        ------
        StillBusyError
            It goes on after so many cycles.
        PortError
            It stands still: what it waits for does not come.
        """
        before, idle = -1, 0
        while self.busy(engine):
            cycles = self.read("CYCLES")
            if cycles > max_cycles:
                raise StillBusyError(max_cycles)
            before, idle = cycles, idle + 1 if cycles == before else 0
            if idle > POLLS:
                raise PortError("the array stands still: words that it was to be fed do not come")

    def busy(self, engine: str) -> bool:
        """Whether an array runs."""
        return bool(self.field("STATUS", f"BUSY_{engine.upper()}"))

    def error(self) -> tuple[int, int]:
        """Source and code of the error; (0, 0) is none."""
        found = self.read("ERROR")
        return found >> 8 & 0xFF, found & 0xFF
