"""``python -m sim.bench WHAT``: make measurements, and write them to ``results/``."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from sim.bench import eie, targets
from spec.errors import UserError, cli
from spec.files import make_folder, write_file

RESULTS = Path("results")
FILES = {"targets": "targets.json", "eie": "eie_layers.json"}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m sim.bench", description=__doc__)
    parser.add_argument(
        "what",
        choices=FILES,
        help="targets: how fast the tools are; eie: cycles of the paper's nine layers",
    )
    parser.add_argument("--layers", nargs="+", default=[], metavar="NAME", help="eie: only these")
    parser.add_argument("--pes", type=int, default=64, help="eie: processing elements")
    parser.add_argument("--json", action="store_true", help="print the result file's contents")
    arguments = parser.parse_args(argv)
    if arguments.what == "targets" and (arguments.layers or arguments.pes != 64):
        raise UserError("--layers and --pes are options of the benchmark eie")
    make_folder(RESULTS)
    bench = eie if arguments.what == "eie" else targets
    document = eie.run(arguments.layers, arguments.pes) if bench is eie else targets.run()
    text = json.dumps(document, indent=2) + "\n"
    # A selection is for looking at; the file keeps the whole set.
    if not arguments.layers and arguments.pes == 64:
        write_file(RESULTS / FILES[arguments.what], text.encode())
    print(text if arguments.json else bench.table(document))


if __name__ == "__main__":
    cli(main)
