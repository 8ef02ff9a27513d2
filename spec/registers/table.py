"""The shell's registers: what software reads and writes beside the streams.

Every register has 32 bits and stands at a multiple of four bytes. What is wider has a low and a
high half, the low one first. Which registers there are depends on the engines in the shell and on
their configurations; where the common ones stand does not, so that software can ask any shell what
it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from spec.config import Config
from spec.eie import counters as eie_counters
from spec.eie.config import EieConfig
from spec.errors import ErrorCode, UserError
from spec.nm import counters as nm_counters
from spec.nm.config import NmConfig

BITS = 32
BYTES = BITS // 8
ADDRESS_BITS = 12
"""Of a byte address: the registers lie in a page of 4 KB."""

ERROR_BITS = 8
"""Of an error code, and of the number of its source."""

IDENTITY = int.from_bytes(b"SKIP", "big")
"""What the first register says, read as letters."""

VERSION = (1, 0)
"""Of this table: what is written for it works with every later one of the same first number."""

ENGINES = (EieConfig, NmConfig)
"""The engine that is first in a list of sources, of bits and of error codes, and the next one."""

EIE, NM = (engine.engine for engine in ENGINES)

PARAMETERS_AT = {EIE: 0x100, NM: 0x200}
COUNTERS_AT = {EIE: 0x300, NM: 0x400}
"""Bytes at which an engine's own registers begin."""


class Access(Enum):
    """What software may do with a register."""

    READ = "ro"
    READ_WRITE = "rw"
    WRITE = "wo"


class Source(ErrorCode):
    """Who an error code is from."""

    NONE = 0, "no error"
    SHELL = 1, "the shell: a bus or a stream was used wrongly"
    EIE = 2, "the EIE array"
    NM = 3, "the N:M array"


class ShellError(ErrorCode):
    """Codes of the shell itself. The first error stays until it is cleared."""

    NONE = 0, "no error"
    ADDRESS = 1, "an access to an address where there is no register"
    ACCESS = 2, "a read of a register that is only written, or a write to one that is only read"
    STROBE = 3, "a write of some bytes of a register that is only written as a whole"
    BUSY = 4, "a counter was asked for while an array runs"
    HEADER = 5, "a message for an engine that is not there, or of a kind that it does not take"
    CUT = 6, "a message that ended within an item"


@dataclass(frozen=True)
class Bits:
    """A field of a register.

    Attributes
    ----------
    name : str
        In capitals, as in C.
    low, width : int
        Its lowest bit, and how many it has.
    text : str
        What it says or does.
    values : mapping of name to (number, text)
        What it may hold, if that is a short list.
    """

    name: str
    low: int
    width: int
    text: str
    values: Mapping[str, tuple[int, str]] = field(default_factory=dict)

    @property
    def mask(self) -> int:
        """Its bits in the register."""
        return ((1 << self.width) - 1) << self.low


@dataclass(frozen=True)
class Counter:
    """Which counter of an array a register shows.

    Attributes
    ----------
    engine : str
    in_pe : bool
        Of the PE that ``EIE_PE`` names, not of the whole array.
    index : int
        Its place among those, as in the engine's ``counters``.
    high : bool
        The high half of it.
    """

    engine: str
    in_pe: bool
    index: int
    high: bool


@dataclass(frozen=True)
class Register:
    """A register.

    Attributes
    ----------
    name : str
        In capitals, as in C.
    address : int
        In bytes.
    access : Access
    text : str
        What it is for.
    fields : tuple of Bits
        From the lowest up; none if the register is one number.
    value : int
        What it holds after reset.
    constant : bool
        It always holds that.
    counter : Counter or None
        What it shows, if that is fetched from an array.
    """

    name: str
    address: int
    access: Access
    text: str
    fields: tuple[Bits, ...] = ()
    value: int = 0
    constant: bool = False
    counter: Counter | None = None

    @property
    def mask(self) -> int:
        """The bits that mean something."""
        if not self.fields:
            return (1 << BITS) - 1
        return sum(one.mask for one in self.fields)


def registers(configs: Sequence[Config]) -> tuple[Register, ...]:
    """All registers of a shell, by address.

    Parameters
    ----------
    configs : sequence of EieConfig and NmConfig
        Of the engines in it: one, or one of each.
    """
    engines = _by_engine(configs)
    found = [*_common(engines), *(one for config in engines.values() for one in _own(config))]
    return tuple(sorted(found, key=lambda register: register.address))


def _by_engine(configs: Sequence[Config]) -> dict[str, Config]:
    found = {config.engine: config for config in configs}
    if not found or len(found) != len(configs):
        given = ", ".join(config.engine for config in configs) or "none"
        raise UserError(f"a shell has one engine, or one of each kind; {given} were given")
    return {engine: found[engine] for engine in (EIE, NM) if engine in found}


def _common(engines: Mapping[str, Config]) -> Iterator[Register]:
    """What every shell has, always at the same place."""
    yield _constant("IDENTITY", 0x000, IDENTITY, "says that this is a Skipstone: the letters SKIP")
    yield Register(
        "VERSION",
        0x004,
        Access.READ,
        "of this table of registers",
        (
            Bits("MINOR", 0, 16, "rises when registers are added"),
            Bits("MAJOR", 16, 16, "rises when one means something else than before"),
        ),
        VERSION[0] << 16 | VERSION[1],
        constant=True,
    )
    yield Register(
        "ENGINES",
        0x008,
        Access.READ,
        "which engines are there",
        tuple(
            Bits(one.engine.upper(), at, 1, f"there is {_article(one.engine)} array")
            for at, one in enumerate(ENGINES)
        ),
        sum(1 << at for at, one in enumerate(ENGINES) if one.engine in engines),
        constant=True,
    )
    yield Register("SCRATCH", 0x00C, Access.READ_WRITE, "keeps what is written, to try out a bus")
    yield Register(
        "CONTROL",
        0x010,
        Access.WRITE,
        "does what the ones in a written word ask for",
        (
            Bits("START_EIE", 0, 1, "starts the EIE array"),
            Bits("START_NM", 1, 1, "starts the N:M array"),
            Bits("RESET", 8, 1, "resets arrays, streams and error; memories keep their words"),
            Bits("CLEAR", 9, 1, "forgets the error"),
        ),
    )
    yield Register(
        "STATUS",
        0x014,
        Access.READ,
        "how it stands",
        (
            Bits("BUSY_EIE", 0, 1, "the EIE array runs"),
            Bits("BUSY_NM", 1, 1, "the N:M array runs"),
            Bits("RECEIVING", 8, 1, "a message has come in part"),
            Bits("SENDING", 9, 1, "words wait to be taken"),
            Bits("ERROR", 16, 1, "there is an error"),
        ),
    )
    yield Register(
        "ERROR",
        0x018,
        Access.READ,
        "the shell's first error since its last reset or CLEAR, or else an array's",
        (
            Bits("CODE", 0, ERROR_BITS, "of the source"),
            Bits("SOURCE", ERROR_BITS, ERROR_BITS, "whose code it is", _values(Source)),
        ),
    )
    yield Register(
        "RESULTS",
        0x01C,
        Access.READ_WRITE,
        "items of the result stream after which TLAST is set; 0 is never",
    )
    yield from _wide("CYCLES", 0x020, 64, "that the last run has been going on, or took")
    yield Register("TAKEN", 0x028, Access.READ, "words of the load stream that the last run took")
    yield Register(
        "FEED",
        0x02C,
        Access.READ_WRITE,
        "items that the next run takes off the input stream while it goes on: the array stands "
        "still, and does not count, in a cycle in which one of them has not come; 0 is none",
    )
    yield Register(
        "DROPPED",
        0x030,
        Access.READ,
        "frames that came broken over a UART and were dropped, modulo 2^32; 0 on other buses",
    )


def _own(config: Config) -> Iterator[Register]:
    """What an engine has: its digest, its parameters, its counters."""
    prefix, at = config.engine.upper(), PARAMETERS_AT[config.engine]
    digest = int(config.digest, 16)
    text = "of the digest of its configuration"
    yield _constant(f"{prefix}_DIGEST_LOW", at, digest & 0xFFFFFFFF, f"low half {text}")
    yield _constant(f"{prefix}_DIGEST_HIGH", at + BYTES, digest >> BITS, f"high half {text}")
    for place, (name, value) in enumerate(config.to_json().items(), 2):
        yield _constant(
            f"{prefix}_{name.upper()}", at + place * BYTES, int(value), f"the parameter {name}"
        )
    yield from _counters(config)


def _counters(config: Config) -> Iterator[Register]:
    """Counters under the cycle model's names, each with two registers, however wide it is."""
    prefix, at, bits = config.engine.upper(), COUNTERS_AT[config.engine], _counter_bits(config)
    if isinstance(config, EieConfig):
        yield Register(
            f"{prefix}_PASS", at, Access.READ_WRITE, "whose counters are read: a pass of the table"
        )
        yield Register(f"{prefix}_PE", at + BYTES, Access.READ_WRITE, "and a PE")
        at += 2 * BYTES
        groups = {
            "": (eie_counters.ARRAY_COUNTERS, "central control's counter"),
            "PE_": (eie_counters.PE_COUNTERS, "the PE's counter"),
        }
    else:
        groups = {"": (nm_counters.COUNTERS, "counter of the last run:")}
    for kind, (names, text) in groups.items():
        for index, name in enumerate(names):
            halves = _wide(f"{prefix}_{kind}{name.upper()}", at, bits, f"{text} {name}")
            for high, half in enumerate(halves):
                counter = Counter(config.engine, bool(kind), index, bool(high))
                yield half if half.constant else replace(half, counter=counter)
            at += 2 * BYTES


def _counter_bits(config: Config) -> int:
    assert isinstance(config, ENGINES)
    return config.counter_bits


def _wide(name: str, address: int, bits: int, text: str) -> Iterator[Register]:
    """A number in two halves; the high one is there in any case, so that no address moves."""
    low = f"low half of {text}" if bits > BITS else text
    high = f"high half of {text}" if bits > BITS else f"0: {name} has {bits} bits"
    yield Register(f"{name}_LOW", address, Access.READ, low)
    yield Register(f"{name}_HIGH", address + BYTES, Access.READ, high, constant=bits <= BITS)


def _constant(name: str, address: int, value: int, text: str) -> Register:
    return Register(name, address, Access.READ, text, value=value, constant=True)


def _article(engine: str) -> str:
    return {EIE: "an EIE", NM: "an N:M"}[engine]


def _values(codes: type[ErrorCode]) -> dict[str, tuple[int, str]]:
    return {code.name: (code.value, code.meaning) for code in codes}
