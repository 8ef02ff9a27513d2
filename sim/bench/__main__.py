"""``python -m sim.bench WHAT``: make measurements, and write them to ``results/``."""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

from sim.bench import agreement, eie, page, real_layers, targets
from spec.errors import UserError, cli
from spec.files import make_folder, read_file, write_file

RESULTS = Path("results")
DOCS = Path("docs")
PAGE = "nine_layers.md"
WHAT = {
    "targets": "how fast the tools are",
    "eie": "cycles of the paper's nine layers, predicted or simulated",
    "real": "layers of two real networks, predicted and simulated",
    "page": "docs page and plot from the results of eie",
}


def main(argv: Sequence[str] | None = None) -> None:
    arguments = _parser().parse_args(argv)
    selects = arguments.layers or arguments.pes is not None or arguments.on != "golden"
    if selects and arguments.what != "eie":
        raise UserError("--layers, --pes and --on are options of the benchmark eie")
    make_folder(RESULTS)
    if arguments.what == "page":
        write_page()
        return
    # A selection is for looking at; the files keep the whole sets.
    whole = not arguments.layers and arguments.pes is None
    bench, measure, file = _choose(arguments, whole)
    document = measure()
    text = json.dumps(document, indent=2) + "\n"
    if whole:
        write_file(RESULTS / file, text.encode())
    print(text if arguments.json else bench.table(document))


def _choose(
    arguments: argparse.Namespace, whole: bool
) -> tuple[ModuleType, Callable[[], dict], str]:
    """Module, measurement and result file of what was asked for."""
    if arguments.what == "targets":
        return targets, targets.run, "targets.json"
    if arguments.what == "real":
        return real_layers, real_layers.run, "eie_real.json"
    names, pes = arguments.layers, arguments.pes
    if arguments.on == "verilator":
        return agreement, lambda: agreement.run(names, pes), "eie_agreement.json"
    if whole:
        return eie, eie.run_all, "eie_layers.json"
    return eie, lambda: eie.run(names, 64 if pes is None else pes), ""


def write_page() -> None:
    """Write page and plot of the nine layers into ``docs/``."""
    file = RESULTS / "eie_layers.json"
    try:
        document = json.loads(read_file(file))
    except ValueError:
        raise UserError(f"{file} is no JSON; write it with python -m sim.bench eie") from None
    write_file(DOCS / PAGE, page.page(document).encode())
    write_file(DOCS / page.PLOT, page.plot(document))
    print(DOCS / PAGE, DOCS / page.PLOT)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sim.bench", description=__doc__)
    add = parser.add_argument
    add("what", choices=WHAT, help="; ".join(f"{name}: {text}" for name, text in WHAT.items()))
    add(
        "--layers",
        nargs="+",
        default=[],
        metavar="NAME",
        help="eie: only these; a selection is printed, not written to results/",
    )
    add(
        "--pes",
        type=int,
        help="eie: processing elements (default: 64; with --on verilator, 64 and 256)",
    )
    add("--on", choices=("golden", "verilator"), default="golden", help="eie: what runs them")
    add("--json", action="store_true", help="print the result file's contents")
    return parser


if __name__ == "__main__":
    cli(main)
