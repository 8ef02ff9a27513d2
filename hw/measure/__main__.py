"""Measure area and clock of an engine on an FPGA, and write them to results/."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from hw.measure import compare, nm
from spec.errors import UserError, cli
from spec.files import make_folder, write_file

RESULTS = Path("results")
SEEDS = 5
ENGINES = {"nm": nm}


def main(argv: Sequence[str] | None = None) -> None:
    arguments = _parser().parse_args(argv)
    if arguments.engine not in ENGINES:
        raise UserError(
            f"engine {arguments.engine!r} cannot be measured; there are {', '.join(ENGINES)}"
        )
    if not 1 <= arguments.seeds <= 99:
        raise UserError(f"--seeds {arguments.seeds}: must be 1 to 99")
    engine = ENGINES[arguments.engine]
    command = f"python -m hw.measure --engine {arguments.engine} --seeds {arguments.seeds}"
    make_folder(RESULTS)
    document = {"command": command} | compare.run(engine.COMPARISONS, arguments.seeds)
    text = json.dumps(document, indent=2) + "\n"
    write_file(RESULTS / engine.FILE, text.encode())
    print(text if arguments.json else compare.table(document))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hw.measure", description=__doc__)
    add = parser.add_argument
    add("--engine", required=True, help=f"one of {', '.join(ENGINES)}")
    add("--seeds", type=int, default=SEEDS, help=f"places and routes so often (default: {SEEDS})")
    add("--json", action="store_true", help="print the result file's contents")
    return parser


if __name__ == "__main__":
    cli(main)
