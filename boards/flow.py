"""From a design to a bitstream: the steps of a build plan, each with the tool for it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from amaranth.vendor import LatticePlatform, SiliconBluePlatform

from boards.top import Top
from hw.measure.ecp5 import small_logic
from hw.measure.tools import Tool, Yosys, find_yosys
from hw.programs import find_program, version_of
from spec.errors import Failure, UserError
from spec.files import make_folder
from sw.host.progress import progress

NAME = "top"
KEEP = "eie_pe eie_station nm_acts nm_column nm_distribute nm_mac nm_requantize nm_strips"
"""Modules with many instances, or large ones, are synthesized once, each by itself, and registers
that hold the same in several of them stay where they are needed."""

STEPS = {
    "yosys": "synthesize",
    "nextpnr-ecp5": "place and route",
    "nextpnr-ice40": "place and route",
    "ecppack": "pack",
    "icepack": "pack",
    "vivado": "synthesize, place and route",
}
"""What each program of a plan does."""

LOGIC = 0.25
"""Share of a period that is left to lookup tables."""

LARGE = " --placer static --router router2"
"""Options of nextpnr for the many thousand cells of an ECP5: a third less wire than with the
default placer, and a router that comes to an end, as it does not on an iCE40."""

WEBASSEMBLY = ("nextpnr-ecp5", "nextpnr-ice40", "ecppack", "icepack")
"""Those that also come from PyPI, under a name behind ``yowasp-``; native ones go first."""


def find_tools(
    commands: Sequence[Sequence[str]], optional: Sequence[str] = ()
) -> list[Tool] | None:
    """The program of each command; ``None`` if one of ``optional`` is not there.

    Raises
    ------
    UserError
        Another one is not installed; with how to get it.
    """
    found = []
    for name, *_ in commands:
        if name == "yosys":
            found.append(find_yosys())
            continue
        path = find_program([name, f"yowasp-{name}"] if name in WEBASSEMBLY else [name])
        if path is None and name in optional:
            return None
        if path is None:
            advice = (
                "pip install 'skipstone[boards]'" if name in WEBASSEMBLY else "put it into PATH"
            )
            raise UserError(f"{name} is not installed ({STEPS[name]}): {advice}")
        found.append(Tool(name, version_of(path), (path,)))
    return found


def prepare(
    platform: Any, top: Top, folder: Path, *, clock_hz: float, seed: int
) -> list[list[str]]:
    """Write a design and its scripts into a folder; the commands that make a bitstream of it."""
    # Most of a period goes by on wires: logic that is faster than the rest is made smaller instead.
    passes = [f"setattr -mod -set keep_hierarchy 1 {KEEP}", *small_logic(LOGIC * 1e12 / clock_hz)]
    open_tools = isinstance(platform, LatticePlatform | SiliconBluePlatform)
    plan = platform.prepare(
        top,
        NAME,
        **(_for_yosys(passes, top.board.synthesis) if open_tools else {}),
        nextpnr_opts=f"--report timing.json --seed {seed} --freq {clock_hz / 1e6:g} "
        f"--timing-allow-fail{LARGE if isinstance(platform, LatticePlatform) else ''}",
        emit_src=False,
    )
    make_folder(folder)
    plan.extract(str(folder))
    # What a platform does beyond the bitstream is for its own way of loading it.
    commands = json.loads(plan.files[f"build_{NAME}.json"])["commands"]
    return [command for command in commands if command[0] in STEPS]


def _for_yosys(passes: Sequence[str], options: str) -> dict[str, str]:
    """Passes in front of synthesis, and its options; and cells are counted behind it."""
    return {
        "script_after_read": "\n".join(passes),
        "synth_opts": options,
        "script_after_synth": "tee -q -o cells.json stat -json",
    }


def carry_out(
    command: Sequence[str], tool: Tool, folder: Path, seconds: float | None = None
) -> bool:
    """Run a command in its folder; false if it took longer than that and was ended."""
    name, *arguments = command
    with progress(f"{STEPS[name]} ({tool.name} {tool.version})"):
        if isinstance(tool, Yosys):
            return tool.passes([f"script {arguments[-1]}"], folder)
        return tool.run(arguments, folder, seconds)


def read_json(file: Path) -> dict[str, Any]:
    """What a tool has written."""
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise Failure(f"{file}: {error}") from None
