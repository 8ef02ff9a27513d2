"""The command line's options, and what they stand for."""

import argparse
from collections.abc import Mapping
from typing import Any

from spec import options as engines
from spec.eie.config import EieConfig
from spec.errors import UserError
from spec.nm.config import NmConfig
from sw.compile.calibrate import HEADROOM
from sw.compile.nm.forms import GATHER
from sw.compile.nm.patterns import parse_patterns
from sw.compile.nm.quantize import SCALES
from sw.compile.state_dict import ACTIVATIONS
from sw.compile.steps import CHECK_SAMPLES

EIE, NM, AUTO = EieConfig.engine, NmConfig.engine, "auto"

OWNERS = {
    "balance": EIE,
    "clusters": EIE,
    "pattern": NM,
    "gather": NM,
    "scales": NM,
    "batch": NM,
}
"""Engines of the options that only one of them has."""

FLAGS = {"balance": "--no-balance"}
"""Options that are not called like what they set."""


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """The parser of ``python -m sw.compile``."""
    parser = argparse.ArgumentParser(prog="python -m sw.compile", description=description)
    add = parser.add_argument
    add("model", help="exported program .pt2, or state dict .pt or .safetensors")
    add(
        "--calibrate",
        required=True,
        metavar="X.npy",
        help="sample inputs (samples, ...), sequences for an LSTM",
    )
    add("-o", "--output", required=True, metavar="FILE", help="image to write")
    engines.add_options(parser, [AUTO])
    engines.add_pair_options(parser, AUTO)
    _add_common(parser)
    _add_eie(parser)
    _add_nm(parser)
    add("--json", action="store_true", help="print one JSON object")
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--activation",
        choices=ACTIVATIONS,
        default="relu",
        help="what stands between the layers of a state dict (default: relu)",
    )
    add(
        "--headroom",
        type=float,
        default=HEADROOM,
        help=f"part by which activations may exceed the samples' (default: {HEADROOM})",
    )
    add(
        "--no-rescale",
        dest="rescale",
        action="store_false",
        help="refuse a layer whose sums could overflow, instead of giving its weights fewer bits",
    )
    add(
        "--check-samples",
        type=int,
        default=CHECK_SAMPLES,
        metavar="N",
        help=f"samples to run on the packed image (default: {CHECK_SAMPLES})",
    )


def _add_eie(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--no-balance",
        dest="balance",
        action="store_false",
        default=None,
        help=f"{EIE}: leave rows interleaved plainly, instead of giving all PEs the same work",
    )
    add(
        "--clusters",
        metavar="N",
        help=f"{EIE}: clusters that every layer divides the array into: auto, 1, 2, 4, 8... "
        "(default: auto, the number with the fewest cycles for each layer)",
    )


def _add_nm(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--pattern",
        action="append",
        metavar="[LAYER=]N:M",
        help=f"{NM}: pattern that the zeros of all layers, or of one, follow; or dense, or auto; "
        "may be given several times (default: auto, whatever they follow)",
    )
    add(
        "--gather",
        metavar="|".join(GATHER),
        help=f"{NM}: whether strips of outputs drop inputs that they have no weight for "
        "(default: auto, where that takes fewer cycles)",
    )
    add(
        "--scales",
        metavar="|".join(SCALES),
        help=f"{NM}: what has a weight scale of its own (default: row)",
    )
    add(
        "--batch",
        type=int,
        metavar="N",
        help=f"{NM}: images that are to run together, what cycles are predicted for (default: 1)",
    )


Chosen = EieConfig | NmConfig | tuple[EieConfig, NmConfig]
"""A configuration of one engine, or one of each."""


def config_from(arguments: argparse.Namespace) -> Chosen:
    """The configuration, or both, that the options name.

    Raises
    ------
    UserError
        As for one engine; and options that do not say which engine they are for, or are for none
        that is asked for.
    """
    if arguments.engine == AUTO:
        return engines.pair_from(arguments)
    engines.refuse_pair_options(arguments, AUTO)
    return engines.config_from(arguments)


def options_from(arguments: argparse.Namespace) -> dict[str, Any]:
    """Options of the driver; refuses those of another engine by name."""
    own: dict[str, Any] = {}
    for name, engine in OWNERS.items():
        value = getattr(arguments, name)
        if value is None:
            continue
        if arguments.engine not in (engine, AUTO):
            raise UserError(
                f"{FLAGS.get(name, '--' + name)} is an option of the engine {engine}, "
                f"not of {arguments.engine}"
            )
        own[name] = value
    return {
        "activation": arguments.activation,
        "headroom": arguments.headroom,
        "rescale": arguments.rescale,
        "check_count": arguments.check_samples,
        **_named(own),
    }


def _named(own: Mapping[str, Any]) -> dict[str, Any]:
    """Options as the drivers call them."""
    named = dict(own)
    if "clusters" in named:
        named["clusters"] = _clusters(named["clusters"])
    if "pattern" in named:
        named["pattern"] = parse_patterns(named["pattern"])
    if "batch" in named:
        named["batch_size"] = named.pop("batch")
    return named


def _clusters(text: str) -> int | None:
    """A number of clusters, or None to choose for each layer."""
    if text == "auto":
        return None
    try:
        return int(text)
    except ValueError:
        raise UserError(f"--clusters {text}: must be auto or a whole number") from None
