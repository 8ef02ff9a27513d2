"""Accesses to the registers in C: inline functions under the table's names, nothing to link."""

from collections.abc import Iterable, Iterator, Sequence

from spec.registers.table import BITS, BYTES, Access, Register

_HEAD = """\
/* Accesses to the registers of a Skipstone shell. Made by hw.build; do not edit.
 *
 * BASE is the address at which the registers begin. To reach them in another way (through a driver,
 * or in a simulation), define both macros before this file is included.
 */
#ifndef {guard}
#define {guard}

#include <stdint.h>

#include "{header}"

#ifndef {prefix}_READ32
#define {prefix}_READ32(base, address) \\
    (*(const volatile uint32_t *)((base) + (address)))
#define {prefix}_WRITE32(base, address, word) \\
    (*(volatile uint32_t *)((base) + (address)) = (word))
#endif

/* A field of a word: {prefix}_FIELD(word, ERROR_CODE). */
#define {prefix}_FIELD(word, name) \\
    (((word) & {prefix}_##name##_MASK) >> {prefix}_##name##_SHIFT)

"""

_TAIL = """\
/* Whether this is a Skipstone whose registers mean what this file says. */
static inline int {name}_is_there(uintptr_t base)
{{
    return {name}_read_identity(base) == {prefix}_IDENTITY_VALUE
        && {prefix}_FIELD({name}_read_version(base), VERSION_MAJOR)
            == {prefix}_FIELD({prefix}_VERSION_VALUE, VERSION_MAJOR)
        && {name}_read_version(base) >= {prefix}_VERSION_VALUE;
}}

{digests}\
/* Look at the status until none of the bits in MASK is set; 0 if one still is after POLLS looks. */
static inline int {name}_wait(uintptr_t base, uint32_t mask, uint32_t polls)
{{
    while (polls-- > 0)
        if (({name}_read_status(base) & mask) == 0)
            return 1;
    return 0;
}}

#endif /* {guard} */
"""

_DIGEST = """\
/* Whether the {engine} array has the configuration that this file was made for. */
static inline int {name}_is_{lower}(uintptr_t base)
{{
    return {name}_read_{lower}_digest_low(base) == {prefix}_{upper}_DIGEST_LOW_VALUE
        && {name}_read_{lower}_digest_high(base) == {prefix}_{upper}_DIGEST_HIGH_VALUE;
}}

"""


def c_access(registers: Sequence[Register], header: str, prefix: str = "SKIPSTONE") -> str:
    """A header beside that of :func:`spec.registers.c_header.c_header`, whose name is ``header``.

    Of a register ``R`` it has ``prefix_read_r`` and ``prefix_write_r``, as far as it can be read
    and written; of a number with two halves ``prefix_read_r``, 64 bits, too; and of a bit ``B``
    that does something in a register that is only written ``prefix_b``.
    """
    name, guard = prefix.lower(), f"{prefix}_ACCESS_H"
    functions = [
        text for one in registers for text in (*_plain(one, prefix), *_pulses(one, prefix))
    ]
    functions += [_whole(one, prefix) for one in _halves(registers)]
    names = {"name": name, "prefix": prefix, "guard": guard}
    digests = "".join(
        _DIGEST.format(**names, engine=upper, upper=upper, lower=upper.lower())
        for upper in _engines(registers)
    )
    head = _HEAD.format(**names, header=header)
    return head + "".join(functions) + _TAIL.format(**names, digests=digests)


def _plain(one: Register, prefix: str) -> Iterator[str]:
    """To read a register, and to write it."""
    name = f"{prefix.lower()}_{{}}_{one.name.lower()}"
    if one.access is not Access.WRITE:
        read = f"return {prefix}_READ32(base, {prefix}_{one.name});"
        yield _function("uint32_t", name.format("read"), "uintptr_t base", read)
    if one.access is not Access.READ:
        write = f"{prefix}_WRITE32(base, {prefix}_{one.name}, word);"
        yield _function("void", name.format("write"), "uintptr_t base, uint32_t word", write)


def _pulses(one: Register, prefix: str) -> Iterator[str]:
    """To do what a bit of a register does that is only written."""
    if one.access is Access.WRITE:
        for bits in one.fields:
            name = f"{prefix.lower()}_{bits.name.lower()}"
            write = f"{prefix.lower()}_write_{one.name.lower()}(base, "
            body = f"{write}{prefix}_{one.name}_{bits.name}_MASK);"
            yield _function("void", name, "uintptr_t base", body)


def _whole(name: str, prefix: str) -> str:
    """To read both halves of a number."""
    read = f"{prefix.lower()}_read_{name.lower()}"
    # A counter that moves may carry between two looks.
    body = (
        f"uint32_t high, low;\n    do {{\n        high = {read}_high(base);\n"
        f"        low = {read}_low(base);\n    }} while ({read}_high(base) != high);\n"
        f"    return (uint64_t)high << {BITS} | low;"
    )
    return _function("uint64_t", read, "uintptr_t base", body)


def _halves(registers: Iterable[Register]) -> Iterator[str]:
    """Names of the numbers that have two halves."""
    found = {one.name: one.address for one in registers}
    for name, address in found.items():
        stem = name.removesuffix("_LOW")
        if stem != name and found.get(f"{stem}_HIGH") == address + BYTES:
            yield stem


def _engines(registers: Iterable[Register]) -> list[str]:
    """Engines that have a digest, in capitals."""
    ending = "_DIGEST_LOW"
    return [one.name.removesuffix(ending) for one in registers if one.name.endswith(ending)]


def _function(gives: str, name: str, takes: str, body: str) -> str:
    return f"static inline {gives} {name}({takes})\n{{\n    {body}\n}}\n\n"
