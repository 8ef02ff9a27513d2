"""A bitstream for a board, and the manifest that ties it to what it was built from."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from boards import room
from boards.board import Board
from boards.flow import NAME, Tool, carry_out, find_tools, prepare, read_json
from boards.place import place_and_route
from boards.top import SHELL, Top, shell_of
from hw.manifest import FILE, tool_versions
from spec.config import Config
from spec.errors import Failure, UserError
from spec.files import write_file

FOLDER = Path("build", "boards")
GENERATOR = "skipstone boards"
VENDORS = ("vivado",)
"""Programs that we cannot bring: without them the project is left ready for them."""


def folder_of(board: Board, variant: str) -> Path:
    """Where a board's bitstream is built, if nothing else is said."""
    return FOLDER / f"{board.name}-{variant}"


def build(
    board: Board,
    variant: str,
    configs: Sequence[Config],
    *,
    clock_hz: float,
    baud: int,
    seed: int = 1,
    folder: Path | None = None,
) -> dict[str, Any]:
    """Build a bitstream; its manifest, which is written beside it.

    Raises
    ------
    UserError
        The design does not fit, or a tool is missing.
    Failure
        A tool failed, or the design is too slow for its clock.
    """
    folder = folder or folder_of(board, variant)
    size = board.variants[variant]
    platform = size.platform()
    settings = board.pll.settings(platform.default_clk_constraint.frequency, clock_hz)
    shell = shell_of(board, configs, clock_hz, baud)
    room.check_before(size.part, shell, SHELL, configs)
    _check_folder(folder)
    top = Top(board, shell, settings)
    commands = prepare(platform, top, folder, clock_hz=clock_hz, seed=seed)
    tools = find_tools(commands, optional=VENDORS)
    (folder / FILE).unlink(missing_ok=True)
    facts = {
        "generator": GENERATOR,
        "board": board.name,
        "variant": variant,
        "part": size.part.name,
        "engines": {one.engine: {"config": one.to_json(), "digest": one.digest} for one in configs},
        "clock_mhz": clock_hz / 1e6,
        "baud": baud,
        "seed": seed,
    }
    if tools is not None:
        facts |= _synthesize(commands, tools, folder, size.part, clock_hz)
    facts["tools"] = tool_versions() | {one.name: one.version for one in tools or ()}
    write_file(folder / FILE, (json.dumps(facts, indent=2) + "\n").encode())
    return facts


def _synthesize(
    commands: Sequence[Sequence[str]],
    tools: Sequence[Tool],
    folder: Path,
    part: room.Part,
    clock_hz: float,
) -> dict[str, Any]:
    """Run the tools; what came out, checked on the way."""
    facts: dict[str, Any] = {}
    for command, tool in zip(commands, tools, strict=True):
        if not command[0].startswith("nextpnr"):
            carry_out(command, tool, folder)
        if command[0] == "yosys":
            room.check_after(part, room.luts(cells_of(folder)))
        elif command[0].startswith("nextpnr"):
            facts |= place_and_route(command, tool, folder, clock_hz)
            if facts["fmax_mhz"] < clock_hz / 1e6:
                raise Failure(
                    f"the design is too slow: {facts['fmax_mhz']:.1f} MHz, its clock is "
                    f"{clock_hz / 1e6:g} MHz; try another --seed, or a slower --clock"
                )
    bitstream = next(
        (folder / f"{NAME}{end}" for end in (".bit", ".bin") if (folder / f"{NAME}{end}").exists()),
        None,
    )
    if bitstream is None:
        raise Failure(f"no bitstream was written into {folder}")
    digest = hashlib.sha256(bitstream.read_bytes()).hexdigest()
    return facts | {"bitstream": bitstream.name, "sha256": digest}


def cells_of(folder: Path) -> Mapping[str, int]:
    """Cells of each kind in the netlist in a folder."""
    return read_json(folder / "cells.json")["design"]["num_cells_by_type"]


def _check_folder(folder: Path) -> None:
    """Refuse to build where something else is."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"cannot build into {folder}: it is no folder")
    if (folder / FILE).exists() and read_manifest(folder).get("generator") != GENERATOR:
        raise UserError(f"cannot build into {folder}: another build is there")


def check_bitstream(facts: Mapping[str, Any], folder: Path, board: Board, variant: str) -> None:
    """Refuse to load what is no bitstream for this board, or not the one that was built."""
    if "bitstream" not in facts:
        raise UserError(f"{folder} holds a project, but no bitstream yet")
    if (facts["board"], facts["variant"]) != (board.name, variant):
        raise UserError(
            f"{folder} holds a bitstream for {facts['board']} {facts['variant']}, "
            f"not for {board.name} {variant}"
        )
    file = folder / facts["bitstream"]
    if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != facts["sha256"]:
        raise UserError(f"{file} is not what was built: its checksum is another one")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest in a folder; :class:`UserError` if nothing was built there."""
    try:
        return json.loads((folder / FILE).read_text())
    except (OSError, ValueError):
        raise UserError(f"{folder} holds no bitstream: build one first") from None


def table(facts: Mapping[str, Any]) -> str:
    """Resources and timing, for people."""
    lines = [f"{'resource':<20} {'used':>8} {'there':>8} {'share':>7}"]
    for kind, (used, there) in facts.get("used", {}).items():
        lines.append(f"{kind:<20} {used:>8} {there:>8} {used / there:>7.0%}")
    if "fmax_mhz" in facts:
        clock, most = facts["clock_mhz"], facts["fmax_mhz"]
        lines.append(f"clock: {clock:g} MHz; the design could do {most:g} MHz")
    return "\n".join(lines)
