"""Every file that is made from the table of registers."""

import json
from collections.abc import Sequence

from spec.registers.c_access import c_access
from spec.registers.c_header import c_header
from spec.registers.document import markdown, to_json
from spec.registers.svd import svd
from spec.registers.systemrdl import systemrdl
from spec.registers.table import Register

STEM = "skipstone"


def register_files(registers: Sequence[Register], version: str) -> dict[str, str]:
    """Text of each file, by its name: for C, for programs, for register tools, for debuggers, for
    people.

    Parameters
    ----------
    version : str
        Of what is described, where a format asks for one.
    """
    return {
        f"{STEM}.h": c_header(registers),
        f"{STEM}_access.h": c_access(registers, f"{STEM}.h"),
        f"{STEM}.json": json.dumps(to_json(registers), indent=2) + "\n",
        f"{STEM}.rdl": systemrdl(registers, STEM),
        f"{STEM}.svd": svd(registers, version),
        f"{STEM}.md": markdown(registers),
    }
