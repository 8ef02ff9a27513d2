"""The registers in SystemRDL 2.0 (Accellera), for register tools."""

from collections.abc import Iterable, Iterator

from spec.registers.table import ADDRESS_BITS, BITS, Access, Bits, Register

WHOLE = "VALUE"
"""Name of the field of a register that is one number."""

_SOFTWARE = {Access.READ: "r", Access.READ_WRITE: "rw", Access.WRITE: "w"}


def systemrdl(registers: Iterable[Register], name: str = "skipstone") -> str:
    """An ``addrmap`` of that name. Registers have the table's names in small letters."""
    lines = [
        f"addrmap {name} {{",
        '    name = "Skipstone";',
        f"    default regwidth = {BITS};",
        f"    default accesswidth = {BITS};",
        "",
    ]
    found = list(registers)
    for one in found:
        lines += _enums(one)
    for one in found:
        lines += _register(one)
    assert all(one.address < 1 << ADDRESS_BITS for one in found)
    return "\n".join([*lines, "};", ""])


def fields_of(one: Register) -> tuple[Bits, ...]:
    """Its fields; of a register that is one number, a field for that."""
    return one.fields or (Bits(WHOLE, 0, BITS, one.text),)


def _enums(one: Register) -> Iterator[str]:
    for bits in one.fields:
        if bits.values:
            yield f"    enum {_enum(one, bits)} {{"
            for name, (number, text) in bits.values.items():
                value = f"{bits.width}'d{number}"
                yield f"        {name.lower()} = {value} {{ desc = {_quoted(text)}; }};"
            yield "    };"


def _register(one: Register) -> Iterator[str]:
    yield "    reg {"
    yield f"        desc = {_quoted(one.text)};"
    for bits in fields_of(one):
        yield "        field {"
        yield f"            desc = {_quoted(bits.text)};"
        yield f"            sw = {_SOFTWARE[one.access]};"
        yield f"            hw = {_hardware(one)};"
        if bits.values:
            yield f"            encode = {_enum(one, bits)};"
        if one.access is Access.WRITE:
            yield "            singlepulse;"
        reset = (one.value & bits.mask) >> bits.low
        place = f"[{bits.low + bits.width - 1}:{bits.low}]"
        yield f"        }} {bits.name.lower()}{place} = {bits.width}'h{reset:x};"
    yield f"    }} {one.name.lower()} @ 0x{one.address:03X};"
    yield ""


def _hardware(one: Register) -> str:
    """What the hardware does with a register: it shows, it only looks, or it does not care."""
    if one.access is Access.READ:
        return "na" if one.constant else "w"
    return "r"


def _enum(one: Register, bits: Bits) -> str:
    return f"{one.name}_{bits.name}".lower()


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
