"""What ``python -m boards.<name>`` does: build a bitstream, load it, run an image on the board."""

import argparse
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from boards.board import Board
from boards.build import build, check_bitstream, folder_of, read_manifest, table
from boards.device import configs_of
from boards.run import run_image
from hw.programs import find_program
from spec import image
from spec.config import Config
from spec.errors import Failure, UserError, cli
from spec.options import add_options, config_from
from spec.registers.table import EIE


def run(board: Board) -> None:
    """The command of a board; exits."""
    cli(lambda argv: main(board, argv))


def main(board: Board, argv: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 if the board and the golden model differ; by ``cli`` 1 for a failure, 2 for
    bad input."""
    arguments = _parser(board).parse_args(argv)
    if arguments.variant not in board.variants:
        known = ", ".join(board.variants)
        raise UserError(f"{board.title} has no variant {arguments.variant!r}; there are {known}")
    task: Callable[[Board, argparse.Namespace], int] = arguments.task
    return task(board, arguments)


def _parser(board: Board) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m boards.{board.name}",
        description=f"Skipstone on {board.title}: bitstreams, and images that run on them.",
    )
    tasks = parser.add_subparsers(metavar="TASK", required=True)
    common = argparse.ArgumentParser(add_help=False)
    first = next(iter(board.variants))
    known = ", ".join(board.variants)
    common.add_argument("--variant", default=first, help=f"one of {known} (default: {first})")
    common.add_argument("--out", metavar="FOLDER", type=Path, help="of the bitstream")

    make = tasks.add_parser("build", parents=[common], help="build a bitstream")
    make.set_defaults(task=_build)
    make.add_argument("image", nargs="?", help="build for this image, not for a preset")
    add_options(make)
    make.set_defaults(preset=None)
    make.add_argument("--clock", type=float, metavar="MHZ", default=board.clock_hz / 1e6)
    make.add_argument("--baud", type=int, default=board.baud)
    make.add_argument("--seed", type=int, default=1, help="of placing (default: 1)")
    make.add_argument("--json", action="store_true", help="print the manifest")

    load = tasks.add_parser("flash", parents=[common], help="load the bitstream into the board")
    load.set_defaults(task=_flash)
    load.add_argument("--store", action="store_true", help="into the memory that it starts from")

    go = tasks.add_parser("run", parents=[common], help="run an image, and compare with the model")
    go.set_defaults(task=run_image)
    go.add_argument("image", help="file written by python -m sw.compile")
    go.add_argument("--port", help="serial port of the board")
    go.add_argument("--virtual", action="store_true", help="simulate the board")
    go.add_argument("--replay", metavar="FILE", help="play a recorded session instead")
    go.add_argument("--input", metavar="X.npy", help="images, one per row (default: random)")
    go.add_argument("--limit", type=int, metavar="N", help="run the first N images only")
    go.add_argument("--raw", action="store_true", help="the input is quantized already")
    go.add_argument("--baud", type=int, default=board.baud, help="as it was built")
    go.add_argument("--record", metavar="FILE", help="keep what is said to the board, and answered")
    go.add_argument("--seed", type=int, default=1, help="of random images")
    go.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _build(board: Board, arguments: argparse.Namespace) -> int:
    facts = build(
        board,
        arguments.variant,
        _configs(board, arguments),
        clock_hz=arguments.clock * 1e6,
        baud=arguments.baud,
        seed=arguments.seed,
        folder=arguments.out,
    )
    folder = arguments.out or folder_of(board, arguments.variant)
    if arguments.json:
        print(json.dumps(facts, indent=2))
    elif "bitstream" in facts:
        print(f"{table(facts)}\n{folder / facts['bitstream']}: {facts['part']}")
    else:
        print(f"{folder}: the project, ready for the vendor's tools (sh build_top.sh)")
    return 0


def _configs(board: Board, arguments: argparse.Namespace) -> list[Config]:
    """What is to be built: for an image, or a preset; by default the one for that size of board."""
    if arguments.image:
        if arguments.preset is not None or arguments.set:
            raise UserError("build for an image, or for a preset, not for both")
        return configs_of(image.read(arguments.image))
    if arguments.preset is None:
        own = board.variants[arguments.variant].preset
        arguments.preset = own if arguments.engine == EIE else "default"
    return [config_from(arguments)]


def _flash(board: Board, arguments: argparse.Namespace) -> int:
    folder = arguments.out or folder_of(board, arguments.variant)
    facts = read_manifest(folder)
    check_bitstream(facts, folder, board, arguments.variant)
    program, *rest = board.store if arguments.store else board.flash
    path = find_program([program])
    if path is None:
        raise UserError(f"{program}, which loads bitstreams, is not installed: put it into PATH")
    places = {"file": str(folder / facts["bitstream"]), "variant": arguments.variant}
    command = [path, *(one.format(**places) for one in rest)]
    done = subprocess.run(command, check=False)
    if done.returncode:
        raise Failure(f"{program} ended with code {done.returncode}")
    return 0
