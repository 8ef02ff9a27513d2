"""``python -m sim.bench WHAT``: make measurements, and write them to ``results/``."""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sim.bench import (
    agreement,
    compare,
    compress,
    eie,
    nm,
    nm_agreement,
    pages,
    real_layers,
    real_nm,
    targets,
)
from spec.errors import UserError, cli
from spec.files import make_folder, write_file

RESULTS = Path("results")
DOCS = Path("docs")


class Measured(NamedTuple):
    """What came out: a document, how people read it, and the file under ``results/`` that keeps it.

    A selection is for looking at and has no file: files keep the whole sets.
    """

    document: dict
    table: Callable[[dict], str]
    file: str | None


@dataclass(frozen=True)
class Benchmark:
    """What ``sim.bench`` can measure."""

    help: str
    measure: Callable[[argparse.Namespace], Measured]
    add_options: Callable[[argparse.ArgumentParser], None] = lambda parser: None


def main(argv: Sequence[str] | None = None) -> None:
    arguments = _parser().parse_args(argv)
    if arguments.what == "page":
        for file in pages.write(RESULTS, DOCS):
            print(file)
        return
    make_folder(RESULTS)
    measured = BENCHMARKS[arguments.what].measure(arguments)
    text = json.dumps(measured.document, indent=2) + "\n"
    if measured.file:
        write_file(RESULTS / measured.file, text.encode())
    print(text if arguments.json else measured.table(measured.document))


def _eie(arguments: argparse.Namespace) -> Measured:
    names, pes = arguments.layers, arguments.pes
    whole = not names and pes is None
    if arguments.on == "verilator":
        file = "eie_agreement.json" if whole else None
        return Measured(agreement.run(names, pes), agreement.table, file)
    if whole:
        return Measured(eie.run_all(), eie.table, "eie_layers.json")
    return Measured(eie.run(names, 64 if pes is None else pes), eie.table, None)


def _nm(arguments: argparse.Namespace) -> Measured:
    bench = nm_agreement if arguments.on == "verilator" else nm
    file = "nm_agreement.json" if bench is nm_agreement else "nm_layers.json"
    names = arguments.layers
    return Measured(bench.run(names), bench.table, None if names else file)


def _compare(arguments: argparse.Namespace) -> Measured:
    files = (arguments.calibrate, arguments.input, arguments.labels)
    if arguments.name is None:
        if any(files):
            raise UserError("--calibrate, --input and --labels go with a network in a file")
        return Measured(compare.run(), compare.table, "nm_compare.json")
    return Measured(compare.run_one(arguments.name, *files), compare.table, None)


def _compress(arguments: argparse.Namespace) -> Measured:
    file = compress.EXPERIMENTS[arguments.name].file
    return Measured(compress.run(arguments.name), compress.table, file)


def _add_compress(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", choices=compress.EXPERIMENTS, help="which experiment")


def _add_layers(parser: argparse.ArgumentParser) -> None:
    """What the benchmarks of both engines have."""
    add = parser.add_argument
    add(
        "--layers",
        nargs="+",
        default=[],
        metavar="NAME",
        help="only these; a selection is printed, not written to results/",
    )
    add("--on", choices=("golden", "verilator"), default="golden", help="what runs them")


def _add_eie(parser: argparse.ArgumentParser) -> None:
    _add_layers(parser)
    parser.add_argument(
        "--pes", type=int, help="processing elements (default: 64; with --on verilator, 64 and 256)"
    )


def _add_compare(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "name",
        nargs="?",
        metavar="LAYER|MODEL",
        help="bert-768x768, Alex-7, any OUTPUTSxINPUTSxTOKENS, a network of ours "
        f"({', '.join(compare.MODELS)}), or one in a .pt2, .pt or .safetensors file; default is "
        "the set that the docs page shows",
    )
    add("--calibrate", metavar="X.npy", help="of a file: sample inputs, to measure ranges on")
    add("--input", metavar="X.npy", help="of a file: inputs to run (default: those of --calibrate)")
    add("--labels", metavar="Y.npy", help="of a file: the class of each input, for accuracy")


BENCHMARKS = {
    "targets": Benchmark(
        "how fast the tools are",
        lambda arguments: Measured(targets.run(), targets.table, "targets.json"),
    ),
    "eie": Benchmark("cycles of the paper's nine layers, predicted or simulated", _eie, _add_eie),
    "real": Benchmark(
        "layers of two real networks, predicted and simulated",
        lambda arguments: Measured(real_layers.run(), real_layers.table, "eie_real.json"),
    ),
    "real-nm": Benchmark(
        "a real transformer on the N:M array: embeddings, cycles, one encoder layer simulated",
        lambda arguments: Measured(real_nm.run(), real_nm.table, "nm_real.json"),
    ),
    "compress": Benchmark(
        "what pruning, sharing and permutation reach, over three seeds; some take an hour",
        _compress,
        _add_compress,
    ),
    "nm": Benchmark(
        "cycles and storage of 2:4, 1:4 and TVW on the N:M array, predicted or simulated",
        _nm,
        _add_layers,
    ),
    "compare": Benchmark(
        "one layer or network in every pattern, on both engines", _compare, _add_compare
    ),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sim.bench", description=__doc__)
    kinds = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    for name, benchmark in BENCHMARKS.items():
        own = kinds.add_parser(name, help=benchmark.help, description=benchmark.help)
        benchmark.add_options(own)
        own.add_argument("--json", action="store_true", help="print the result file's contents")
    kinds.add_parser("page", help="docs pages and plots from the results")
    return parser


if __name__ == "__main__":
    cli(main)
