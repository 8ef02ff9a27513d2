"""The registers as a C header: addresses, fields and values as macros, nothing to link."""

from collections.abc import Iterable, Iterator

from spec.registers.table import Bits, Register

_HEAD = """\
/* The registers of a Skipstone shell. Made by hw.build; do not edit. */
#ifndef {guard}
#define {guard}

#include <stdint.h>

"""


def c_header(registers: Iterable[Register], prefix: str = "SKIPSTONE") -> str:
    """The header. Of a register ``R`` it has ``PREFIX_R``, its address in bytes; of its field ``F``
    ``PREFIX_R_F_SHIFT`` and ``PREFIX_R_F_MASK``; of that one's value ``V`` ``PREFIX_R_F_V``; and
    of one that always holds the same ``PREFIX_R_VALUE``."""
    guard = f"{prefix}_REGISTERS_H"
    lines = [line for one in registers for line in (*_register(one, prefix), "")]
    return _HEAD.format(guard=guard) + "\n".join([*lines, f"#endif /* {guard} */", ""])


def _register(one: Register, prefix: str) -> Iterator[str]:
    name = f"{prefix}_{one.name}"
    yield f"/* {one.access.value}: {one.text} */"
    yield f"#define {name} UINT32_C(0x{one.address:03X})"
    if one.constant:
        yield f"#define {name}_VALUE UINT32_C(0x{one.value:08X})"
    for bits in one.fields:
        yield from _bits(bits, f"{name}_{bits.name}")


def _bits(bits: Bits, name: str) -> Iterator[str]:
    yield f"/* {bits.text} */"
    yield f"#define {name}_SHIFT {bits.low}"
    yield f"#define {name}_MASK UINT32_C(0x{bits.mask:08X})"
    for value, (number, text) in bits.values.items():
        yield f"#define {name}_{value} UINT32_C({number}) /* {text} */"
