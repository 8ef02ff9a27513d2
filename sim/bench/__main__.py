"""``python -m sim.bench WHAT``: make measurements, and write them to ``results/``."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from sim.bench import targets
from spec.errors import cli
from spec.files import make_folder, write_file

RESULTS = Path("results")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m sim.bench", description=__doc__)
    parser.add_argument("what", choices=["targets"], help="targets: how fast the tools are")
    parser.add_argument("--json", action="store_true", help="print the result file's contents")
    arguments = parser.parse_args(argv)
    make_folder(RESULTS)
    document = targets.run()
    text = json.dumps(document, indent=2) + "\n"
    write_file(RESULTS / f"{arguments.what}.json", text.encode())
    print(text if arguments.json else targets.table(document))


if __name__ == "__main__":
    cli(main)
