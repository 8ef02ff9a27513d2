"""A component built from several configurations: their area, and their clock over seeds."""

import hashlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from amaranth.lib import wiring

from hw.measure import ecp5
from hw.measure.tools import Tool, Yosys, find_nextpnr, find_yosys
from spec.config import Config
from spec.files import make_folder, write_file

BUILD = Path("build", "measure")


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    Attributes
    ----------
    title : str
    make : callable
        The component, from a configuration.
    module : str
        Its Verilog module.
    configs : mapping
        By what tables call them. The others are compared with the first.
    area_only : mapping
        Others, which are not placed and routed.
    """

    title: str
    make: Callable[[Any], wiring.Component]
    module: str
    configs: Mapping[str, Config]
    area_only: Mapping[str, Config] = field(default_factory=dict)


def run(comparisons: Mapping[str, Comparison], seeds: int, build: Path = BUILD) -> dict[str, Any]:
    """Measure everything; the result file's contents, but for the command.

    Progress goes to standard error. What an earlier call has placed and routed is in ``build``, and
    is not done again.
    """
    yosys, nextpnr = find_yosys(), find_nextpnr()
    return {
        "part": ecp5.PART,
        "tools": {tool.name: tool.version for tool in (yosys, nextpnr)},
        "goal_mhz": ecp5.GOAL_MHZ,
        "seeds": list(range(1, seeds + 1)),
        "comparisons": {
            name: _compare(comparison, seeds, yosys, nextpnr, build)
            for name, comparison in comparisons.items()
        },
    }


def _compare(
    comparison: Comparison, seeds: int, yosys: Yosys, nextpnr: Tool, build: Path
) -> dict[str, Any]:
    rows = {}
    for name, config in {**comparison.configs, **comparison.area_only}.items():
        folder = _prepare(comparison, comparison.make(config), (yosys, nextpnr), build)
        what = f"{comparison.module}, {name}"
        began = time.monotonic()
        area = ecp5.synthesize(yosys, comparison.module, folder)
        _tell(f"{what}: synthesized", began)
        rows[name] = {"digest": config.digest, "config": config.to_json(), "area": asdict(area)}
        if name in comparison.configs:
            rows[name] |= _clock(nextpnr, what, seeds, folder)
    return {"title": comparison.title, "configurations": rows, "ratios": ratios(rows)}


def _clock(nextpnr: Tool, what: str, seeds: int, folder: Path) -> dict[str, Any]:
    """The highest clock over all seeds, and the paths that limit it."""
    fits = []
    for seed in range(1, seeds + 1):
        began = time.monotonic()
        fits.append(ecp5.place(nextpnr, seed, folder))
        _tell(f"{what}, seed {seed}: {fits[-1].mhz:.1f} MHz", began)
    return {
        "mhz": [round(fit.mhz, 2) for fit in fits],
        "median_mhz": round(statistics.median(fit.mhz for fit in fits), 2),
        "slowest": [fit.slowest for fit in fits],
    }


def ratios(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Clock and area of all but the first, over those of the first, where both are known."""
    (_, base), *others = ((name, _figures(row)) for name, row in rows.items())
    return {
        name: {
            kind: round(value / base[kind], 4) for kind, value in figures.items() if base.get(kind)
        }
        for name, figures in others
    }


def _figures(row: Mapping[str, Any]) -> dict[str, float]:
    clock = {"mhz": row["median_mhz"]} if "median_mhz" in row else {}
    return clock | row["area"]


def _prepare(
    comparison: Comparison, component: wiring.Component, tools: tuple[Tool, ...], build: Path
) -> Path:
    """The Verilog in a folder whose name says what is in it, and with which tools."""
    files = ecp5.verilog(component, comparison.module)
    what = [files, [(tool.name, tool.version) for tool in tools], ecp5.PART, ecp5.GOAL_MHZ]
    key = hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]
    folder = build / f"{comparison.module}-{key}"
    make_folder(folder)
    for name, text in files.items():
        write_file(folder / name, text.encode())
    return folder


def _tell(what: str, began: float) -> None:
    print(f"{what} ({time.monotonic() - began:.0f} s)", file=sys.stderr, flush=True)


AREA_TITLES = {
    "lut4": "LUT4",
    "ff": "registers",
    "block_rams": "block RAMs",
    "multipliers": "multipliers",
}


def table(document: Mapping[str, Any]) -> str:
    """The result as tables of Markdown."""
    tables = []
    for comparison in document["comparisons"].values():
        titles = [comparison["title"], "clock, MHz: median (all)", *AREA_TITLES.values()]
        lines = [_line(titles), "|---" * len(titles) + "|"]
        for name, row in comparison["configurations"].items():
            area = [str(row["area"][kind]) for kind in AREA_TITLES]
            lines.append(_line([name, _clocks(row), *area]))
        first = next(iter(comparison["configurations"]))
        for name, ratio in comparison["ratios"].items():
            cells = (
                f"{ratio[kind]:.2f}" if kind in ratio else "" for kind in ("mhz", *AREA_TITLES)
            )
            lines.append(_line([f"{name} / {first}", *cells]))
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


def _clocks(row: Mapping[str, Any]) -> str:
    if "mhz" not in row:
        return ""
    return f"{row['median_mhz']:.1f} ({', '.join(f'{mhz:.1f}' for mhz in sorted(row['mhz']))})"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
