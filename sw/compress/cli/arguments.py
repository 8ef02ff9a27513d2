"""The command lines' options."""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from spec.errors import UserError
from sw.compress.choice import SCOPES
from sw.compress.cli.state import ACTIVATIONS
from sw.compress.criteria.parse import FORMS as CRITERIA
from sw.compress.fetch import SOURCES
from sw.compress.patterns.parse import FORMS as PATTERNS
from sw.compress.penalties import FORMS as PENALTIES
from sw.compress.scan import DENSITIES
from sw.compress.schedule.parse import FORMS as SCHEDULES
from sw.compress.share import STARTS

QUANTIZE = ("int8", "int8:tensor", "fixed16")
"""Integers in place of weights: int8 with a scale per row, or per layer; 16-bit fixed point."""

ENGINES = ("eie", "nm", "auto")

Value = TypeVar("Value")


def compress_parser(description: str | None) -> argparse.ArgumentParser:
    """The parser of ``python -m sw.compress``."""
    parser = argparse.ArgumentParser(
        prog="python -m sw.compress",
        description=description,
        epilog="python -m sw.compress scan --help: how much each layer can lose",
    )
    add = parser.add_argument
    _add_common(parser)
    add("-o", "--output", type=Path, metavar="FILE", help=".pt, .safetensors or .pt2 to write")
    add(
        "--density",
        action="append",
        default=[],
        metavar="[LAYER=]SHARE",
        help="share of the weights that stay, 0...1, of all layers or of one; several times",
    )
    add("--scope", choices=SCOPES, default="layer", help="who has the density (default: layer)")
    add(
        "--schedule",
        default="one-shot",
        metavar="WHEN",
        help=f"one of {', '.join(SCHEDULES)} (default: one-shot)",
    )
    penalties = ", ".join(f"{name}:STRENGTH" for name in PENALTIES)
    add("--penalty", metavar="WHAT", help=f"regularization while training: one of {penalties}")
    add("--from-scan", type=Path, metavar="JSON", help="densities that a scan proposes, for ...")
    add("--loss", type=float, metavar="LOSS", help="... this loss of accuracy, or --density")
    _add_training(parser)
    _add_values(parser)
    return parser


def scan_parser(description: str | None) -> argparse.ArgumentParser:
    """The parser of ``python -m sw.compress scan``."""
    parser = argparse.ArgumentParser(prog="python -m sw.compress scan", description=description)
    add = parser.add_argument
    _add_common(parser)
    add("-o", "--output", type=Path, metavar="JSON", help="file to write, and to go on from")
    add("--csv", type=Path, metavar="FILE", help="write a table")
    add("--plot", type=Path, metavar="FILE", help="draw a .svg, .png or .pdf")
    add(
        "--densities",
        default=",".join(map(str, DENSITIES)),
        metavar="A,B,...",
        help=f"shares to try (default: {','.join(map(str, DENSITIES))})",
    )
    add("--workers", type=int, metavar="N", help="processes (default: what pays)")
    add("--density", type=float, metavar="SHARE", help="propose densities that keep this share")
    add("--loss", type=float, metavar="LOSS", help="propose densities that lose this accuracy")
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "model",
        help="exported program .pt2, state dict .pt or .safetensors, or package.module:function "
        "that makes the network",
    )
    add("--state", type=Path, metavar="FILE", help="state dict for what the function makes")
    add(
        "--activation",
        choices=ACTIVATIONS,
        default="relu",
        help="what stands between the layers of a state dict (default: relu)",
    )
    add(
        "--data",
        metavar="NAME",
        help=f"pictures: digits, {', '.join(SOURCES)} (make data), or a folder of IDX files",
    )
    add(
        "--pattern",
        action="append",
        default=[],
        metavar="[LAYER=]PATTERN",
        help=f"one of {', '.join(PATTERNS)} (default: unstructured); several times",
    )
    add(
        "--criterion",
        default="magnitude",
        metavar="WHAT",
        help=f"one of {', '.join(CRITERIA)} (default: magnitude)",
    )
    add("--layers", metavar="A,B,...", help="only these (default: all)")
    add(
        "--calibration",
        type=int,
        default=512,
        metavar="N",
        help="pictures for criteria that need some (default: 512)",
    )
    add("--batch", type=int, default=64, metavar="N", help="pictures in a batch (default: 64)")
    add("--seed", type=int, default=1, help="of first weights and shuffles (default: 1)")
    add("--json", action="store_true", help="print one JSON object")


def _add_training(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--train", type=int, default=0, metavar="STEPS", help="train it dense before (default: 0)")
    add("--steps", type=int, default=0, help="train on while and after pruning (default: 0)")
    add("--rate", type=float, default=1e-3, help="learning rate (default: 0.001)")


def _add_values(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--share",
        action="append",
        default=[],
        metavar="[LAYER=]BITS",
        help="share weights: codes of 1...8 bits, one of them zero; several times",
    )
    add("--share-start", choices=STARTS, default=STARTS[0], help="where k-means begins")
    add("--share-steps", type=int, default=0, metavar="STEPS", help="train shared values")
    add("--quantize", choices=QUANTIZE, help="integers in place of real weights")
    add(
        "--cycles",
        choices=ENGINES,
        help="predict cycles on an array, too; needs --data and the compiler",
    )
    add("--eie", default="default", metavar="PRESET", help="EIE array to report on (default)")
    add("--nm", default="default", metavar="PRESET", help="N:M array to report on (default)")


def named(
    option: str, texts: Iterable[str], convert: Callable[[str], Value]
) -> tuple[Value | None, dict[str, Value]]:
    """What ``[LAYER=]VALUE`` options say: of all layers, and of some."""
    every: Value | None = None
    some: dict[str, Value] = {}
    for text in texts:
        layer, equals, value = text.rpartition("=")
        try:
            one = convert(value)
        except UserError:
            raise
        except ValueError:
            whole = "whole " if convert is int else ""
            raise UserError(f"--{option} {text}: {value!r} is no {whole}number") from None
        if equals:
            some[layer] = one
        elif every is None:
            every = one
        else:
            raise UserError(f"--{option} was given twice for all layers: {every} and {value}")
    return every, some


def numbers(option: str, text: str) -> list[float]:
    """Numbers with commas between them."""
    try:
        return [float(one) for one in text.split(",")]
    except ValueError:
        raise UserError(f"--{option} {text}: must be numbers with commas between them") from None
