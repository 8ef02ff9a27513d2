"""Measure area and clock of an engine, or of a unit, on an FPGA, and write them to results/."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hw.engines import UNITS
from hw.measure import compare, families, nm, units
from spec.errors import UserError, cli
from spec.files import make_folder, write_file

RESULTS = Path("results")
SEEDS = 5
ENGINES = {"nm": nm}


def main(argv: Sequence[str] | None = None) -> None:
    arguments = _parser().parse_args(argv)
    if (arguments.engine is None) == (arguments.unit is None):
        raise UserError("say what to measure: either --engine or --unit")
    least = 1 if arguments.engine else 0
    seeds = arguments.seeds if arguments.seeds is not None else SEEDS * least
    if not least <= seeds <= 99:
        raise UserError(f"--seeds {seeds}: must be {least} to 99")
    if arguments.unit:
        row = units.run(arguments.unit, arguments.preset, arguments.family, seeds)
        _write(units.FILE, units.document(RESULTS / units.FILE, row))
        print(json.dumps(row, indent=2) if arguments.json else units.table(row))
        return
    if arguments.engine not in ENGINES:
        raise UserError(
            f"engine {arguments.engine!r} cannot be measured; there are {', '.join(ENGINES)}"
        )
    engine = ENGINES[arguments.engine]
    command = f"python -m hw.measure --engine {arguments.engine} --seeds {seeds}"
    document = {"command": command} | compare.run(engine.COMPARISONS, seeds)
    text = _write(engine.FILE, document)
    print(text if arguments.json else compare.table(document))


def _write(name: str, document: dict[str, Any]) -> str:
    text = json.dumps(document, indent=2) + "\n"
    make_folder(RESULTS)
    write_file(RESULTS / name, text.encode())
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hw.measure", description=__doc__)
    add = parser.add_argument
    known = [f"{engine}.{unit}" for engine, parts in UNITS.items() for unit in parts]
    add("--engine", help=f"compare configurations of one: {', '.join(ENGINES)}")
    add("--unit", help=f"measure one: {', '.join(known)}")
    add("--preset", default="default", help="of the unit's engine (default: default)")
    add("--family", default="ecp5", help=f"of FPGAs: {', '.join(families.FAMILIES)}")
    add("--seeds", type=int, help="places and routes so often: engines 5 times, units never")
    add("--json", action="store_true", help="print the figures as JSON")
    return parser


if __name__ == "__main__":
    cli(main)
