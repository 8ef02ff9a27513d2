"""Units alone on an FPGA: area, depth of logic, clock; and how these came about."""

import hashlib
import json
import statistics
from collections.abc import Mapping
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from hw.emit import emit
from hw.engines import UNITS, Unit
from hw.measure import ecp5
from hw.measure.families import FAMILIES, Family, measure
from hw.measure.tools import find_nextpnr, find_yosys
from spec.config import Config
from spec.errors import UserError
from spec.files import make_folder, write_file
from spec.options import ENGINES

BUILD = Path("build", "measure")
FILE = "units.json"
COMMAND = "python -m hw.measure --unit UNIT --preset PRESET --family FAMILY --seeds SEEDS"
WHAT = ("unit", "preset", "family")
"""What a row of the history is about."""


def run(name: str, preset: str, family: str, seeds: int, build: Path = BUILD) -> dict[str, Any]:
    """A row of figures: of unit ``engine.unit``, with its clock over ``seeds`` seeds (if any)."""
    engine, unit = find(name)
    config = ENGINES[engine].preset(preset)
    if family not in FAMILIES:
        raise UserError(f"--family {family}: there are {', '.join(FAMILIES)}")
    if seeds and family != "ecp5":
        raise UserError(f"--seeds {seeds}: units are placed on ecp5 only, not on {family}")
    yosys = find_yosys()
    folder = _prepare(unit, config, FAMILIES[family], build)
    row = {
        **dict(zip(WHAT, (name, preset, family), strict=True)),
        "part": FAMILIES[family].part,
        "digest": config.digest,
        "tools": {yosys.name: yosys.version},
        "figures": asdict(measure(yosys, FAMILIES[family], unit.top, folder)),
    }
    return row | (_clock(unit, config, seeds, folder) if seeds else {})


def find(name: str) -> tuple[str, Unit]:
    """Engine and unit of a name such as ``eie.pe``."""
    engine, _, unit = name.partition(".")
    if unit not in UNITS.get(engine, {}):
        known = (f"{engine}.{unit}" for engine, units in UNITS.items() for unit in units)
        raise UserError(f"--unit {name}: there are {', '.join(known)}")
    return engine, UNITS[engine][unit]


def _prepare(unit: Unit, config: Config, family: Family, build: Path) -> Path:
    """The unit's Verilog in a folder that its text names."""
    files = family.swap(emit(unit.make(config), unit.top))
    key = hashlib.sha256(json.dumps([files, family.passes]).encode()).hexdigest()[:16]
    folder = build / f"{unit.top}-{key}"
    make_folder(folder)
    for name, text in files.items():
        write_file(folder / name, text.encode())
    return folder


def _clock(unit: Unit, config: Config, seeds: int, folder: Path) -> dict[str, Any]:
    """The highest clock over some seeds, placed and routed between registers."""
    yosys, nextpnr = find_yosys(), find_nextpnr()
    inside = folder / "placed"
    make_folder(inside)
    for name, text in ecp5.verilog(unit.make(config), unit.top).items():
        write_file(inside / name, text.encode())
    ecp5.synthesize(yosys, unit.top, inside, ecp5.FOR_GOAL)
    fits = [ecp5.place(nextpnr, seed, inside) for seed in range(1, seeds + 1)]
    return {
        "tools": {tool.name: tool.version for tool in (yosys, nextpnr)},
        "mhz": [round(fit.mhz, 2) for fit in fits],
        "median_mhz": round(statistics.median(fit.mhz for fit in fits), 2),
        "slowest": [fit.slowest for fit in fits],
    }


def extend(history: list[dict[str, Any]], row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The history with ``row`` behind it, if that says something new.

    Rows are marked by the package's version and the digest of what they say. The clock of a unit
    whose other figures have not changed is not forgotten where it is not measured again.
    """
    about = [row[what] for what in WHAT]
    before = next((one for one in reversed(history) if [one[w] for w in WHAT] == about), None)
    version = metadata.version("skipstone")
    digest = hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()[:16]
    if before is not None:
        unchanged = all(before[key] == row[key] for key in ("digest", "figures"))
        if before["row"] == digest or (unchanged and "mhz" not in row):
            return history
    return [*history, {"version": version, "row": digest, **row}]


def document(file: Path, row: Mapping[str, Any]) -> dict[str, Any]:
    """The result file's contents, with ``row``."""
    history = json.loads(file.read_text())["history"] if file.exists() else []
    return {"command": COMMAND, "history": extend(history, row)}


def table(row: Mapping[str, Any]) -> str:
    """A row as text."""
    lines = [f"{row['unit']}, preset {row['preset']}, {row['part']}"]
    lines += [f"{name:<12}{value:>7}" for name, value in row["figures"].items()]
    if "median_mhz" in row:
        lines.append(f"{'MHz, median':<12}{row['median_mhz']:>7.1f}   of {row['mhz']}")
    return "\n".join(lines)
