"""The registers for people and for programs: a table in Markdown, and JSON."""

from collections.abc import Iterable
from typing import Any

from spec.registers.table import Register


def to_json(registers: Iterable[Register]) -> list[dict[str, Any]]:
    """A list of registers, each with its ``fields`` from the lowest up; some have ``values``."""
    return [
        {
            "name": one.name,
            "address": one.address,
            "access": one.access.value,
            "text": one.text,
            "reset": one.value,
            "constant": one.constant,
            "fields": [
                {
                    "name": bits.name,
                    "low": bits.low,
                    "width": bits.width,
                    "text": bits.text,
                    "values": [
                        {"name": value, "value": number, "text": text}
                        for value, (number, text) in bits.values.items()
                    ],
                }
                for bits in one.fields
            ],
        }
        for one in registers
    ]


def markdown(registers: Iterable[Register]) -> str:
    """A table with a line for each register, and one for each of its fields."""
    lines = ["| address | register | | reset | |", "|---|---|---|---|---|"]
    for one in registers:
        lines.append(
            f"| `0x{one.address:03X}` | `{one.name}` | {one.access.value} | "
            f"`0x{one.value:08X}` | {one.text} |"
        )
        for bits in one.fields:
            top = bits.low + bits.width - 1
            place = f"{bits.low}" if bits.width == 1 else f"{top}:{bits.low}"
            values = "; ".join(
                f"{number} `{name}`: {text}" for name, (number, text) in bits.values.items()
            )
            text = f"{bits.text} ({values})" if values else bits.text
            lines.append(f"| | `{bits.name}` | {place} | | {text} |")
    return "\n".join([*lines, ""])
