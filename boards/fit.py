"""``python -m boards.fit``: what designs take of boards, their clocks over seeds, and what work
that is; into results/boards.json."""

import argparse
import hashlib
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boards import icebreaker, ulx3s
from boards.board import Board
from boards.build import cells_of
from boards.flow import NAME, carry_out, find_tools, prepare, read_json
from boards.place import REPORT, place_and_route, timing
from boards.room import check_before, luts
from boards.top import SHELL, Top, shell_of
from hw.manifest import tool_versions
from sim.bench.useful import useful_work
from spec.config import Config
from spec.eie import config as eie
from spec.errors import UserError, cli
from spec.files import make_folder, write_file
from spec.nm import config as nm

FILE = Path("results", "boards.json")
BUILD = Path("build", "fit")
SEEDS = 3

PAGE = Path("docs", "boards.md")
BEGIN = "<!-- measured: made by `python -m boards.fit` -->\n"
END = "<!-- end of measured -->\n"


@dataclass(frozen=True)
class Design:
    """An array on a board.

    Attributes
    ----------
    board : Board
    variant : str
    config : EieConfig or NmConfig
    target_mhz : float
        The clock that is asked for.
    """

    board: Board
    variant: str
    config: Config
    target_mhz: float


DESIGNS = {
    "ulx3s-eie-64": Design(ulx3s.BOARD, "85F", eie.preset("fpga64"), 60),
    "ulx3s-eie-32": Design(ulx3s.BOARD, "85F", eie.preset("fpga32"), 80),
    "ulx3s-eie-6": Design(ulx3s.BOARD, "25F", eie.preset("fpga6"), 60),
    "ulx3s-nm-128": Design(ulx3s.BOARD, "85F", nm.preset("fpga128"), 80),
    "icebreaker-eie-1": Design(icebreaker.BOARD, "up5k", eie.preset("up5k"), 24),
}


def main(argv: Sequence[str] | None = None) -> None:
    arguments = _parser().parse_args(argv)
    chosen = arguments.design or list(DESIGNS)
    for name in chosen:
        if name not in DESIGNS:
            raise UserError(f"there is no design {name!r}; there are {', '.join(DESIGNS)}")
    if not 1 <= arguments.seeds <= 99:
        raise UserError(f"--seeds {arguments.seeds}: must be 1 to 99")
    make_folder(FILE.parent)
    document = json.loads(FILE.read_text()) if FILE.exists() else {}
    rows = document.get("designs", {})
    for name in chosen:
        rows[name] = measure(name, DESIGNS[name], arguments.seeds)
        ordered = {name: rows[name] for name in DESIGNS if name in rows}
        document = {"command": "python -m boards.fit", "designs": ordered}
        write_file(FILE, (json.dumps(document, indent=2) + "\n").encode())
        put(document)
    print(table(document))


def put(document: Mapping[str, Any]) -> None:
    """Put the table into the page."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, behind = rest.partition(END)
    write_file(PAGE, f"{before}{section(document)}{behind}".encode())


def section(document: Mapping[str, Any]) -> str:
    """The page's section, with its marks."""
    return f"{BEGIN}\n{table(document)}\n\n{END}"


def measure(name: str, design: Design, seeds: int) -> dict[str, Any]:
    """Synthesize once, place and route with every seed. What was placed before, of the same netlist
    with the same seed, is taken as it is: a run that was cut off goes on."""
    hz = design.target_mhz * 1e6
    board = design.board
    platform = board.variants[design.variant].platform()
    settings = board.pll.settings(platform.default_clk_constraint.frequency, hz)
    shell = shell_of(board, [design.config], hz, board.baud)
    check_before(board.variants[design.variant].part, shell, SHELL, [design.config])
    top = Top(board, shell, settings)
    folder = BUILD / name
    commands = prepare(platform, top, folder, clock_hz=hz, seed=1)
    tools = find_tools(commands)
    assert tools is not None
    synthesize, place = commands[:2]
    carry_out(synthesize, tools[0], folder)
    netlist = hashlib.sha256((folder / f"{NAME}.json").read_bytes()).hexdigest()[:16]
    reports = []
    for seed in range(1, seeds + 1):
        place[place.index("--seed") + 1] = str(seed)
        report = folder / f"timing-{netlist}-{seed}.json"
        if not report.exists():
            place_and_route(place, tools[1], folder, hz)
            (folder / REPORT).replace(report)
        reports.append(timing(read_json(report)))
    mhz = [one["fmax_mhz"] for one in reports]
    what, useful = useful_work(design.config)
    clock = statistics.median(mhz)
    lookup = luts(cells_of(folder))
    return {
        "board": design.board.title,
        "part": design.board.variants[design.variant].part.name,
        "config": design.config.to_json(),
        "digest": design.config.digest,
        "tools": tool_versions() | {one.name: one.version for one in tools[:2]},
        "target_mhz": design.target_mhz,
        "mhz": mhz,
        "median_mhz": clock,
        "luts": lookup,
        "used": reports[0]["used"],
        "layer": what,
        "useful_macs_per_cycle": round(useful, 3),
        "useful_gmacs": round(useful * clock / 1e3, 3),
        "useful_gmacs_per_kilolut": round(useful * clock / lookup, 4),
    }


def table(document: Mapping[str, Any]) -> str:
    """The figures as a table of Markdown."""
    titles = ["design", "part", "LUTs", "seeds", "clock, MHz: min, median, max", "target"]
    titles += ["useful GMAC/s", "per 1,000 LUTs"]
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for name, row in document["designs"].items():
        clocks = ", ".join(f"{f(row['mhz']):.1f}" for f in (min, statistics.median, max))
        cells = [name, row["part"], f"{row['luts']:,}", f"{len(row['mhz'])}"]
        cells += [clocks, f"{row['target_mhz']:g}"]
        cells += [f"{row['useful_gmacs']:.2f}", f"{row['useful_gmacs_per_kilolut']:.3f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m boards.fit", description=__doc__)
    parser.add_argument("design", nargs="*", help=f"one of {', '.join(DESIGNS)} (default: all)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"default: {SEEDS}")
    return parser


if __name__ == "__main__":
    cli(main)
