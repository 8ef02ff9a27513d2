"""Compile a trained network into an image for an EIE array."""

import argparse
import json
import time
from collections.abc import Sequence

from spec import image
from spec.eie.options import add_options, config_from
from spec.errors import UserError, cli
from spec.files import read_array
from sw.compile.calibrate import HEADROOM
from sw.compile.capture import ACTIVATIONS
from sw.compile.eie.driver import CHECK_SAMPLES, compile_network
from sw.compile.eie.report import table


def main(argv: Sequence[str] | None = None) -> None:
    arguments = _parser().parse_args(argv)
    began = time.monotonic()
    result = compile_network(
        arguments.model,
        read_array(arguments.calibrate),
        config_from(arguments),
        activation=arguments.activation,
        headroom=arguments.headroom,
        rescale=arguments.rescale,
        balance=arguments.balance,
        clusters=_clusters(arguments.clusters),
        check_count=arguments.check_samples,
        progress=True,
    )
    path = image.write(result.program, arguments.output)
    seconds = time.monotonic() - began
    if arguments.json:
        document = result.to_json() | {"image": str(path), "seconds": seconds}
        print(json.dumps(document, indent=2))
        return
    print(table(result))
    print(
        f"\n{path}: {result.program.config.pes} PEs, configuration {result.program.config.digest}, "
        f"{len(result.program.segments)} segment(s), {seconds:.1f} s"
    )


def _clusters(text: str) -> int | None:
    """A number of clusters, or None to choose for each layer."""
    if text == "auto":
        return None
    try:
        return int(text)
    except ValueError:
        raise UserError(f"--clusters {text}: must be auto or a whole number") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sw.compile", description=__doc__)
    add = parser.add_argument
    add("model", help="exported program .pt2, or state dict .pt or .safetensors")
    add(
        "--calibrate",
        required=True,
        metavar="X.npy",
        help="sample inputs (samples, ...), sequences for an LSTM",
    )
    add("-o", "--output", required=True, metavar="FILE", help="image to write")
    add_options(parser)
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
        "--no-balance",
        dest="balance",
        action="store_false",
        help="leave rows interleaved plainly, instead of giving all PEs the same work",
    )
    add(
        "--clusters",
        default="auto",
        metavar="N",
        help="clusters that every layer divides the array into: auto, 1, 2, 4, 8... "
        "(default: auto, the number with the fewest cycles for each layer)",
    )
    add(
        "--check-samples",
        type=int,
        default=CHECK_SAMPLES,
        metavar="N",
        help=f"samples to run on the packed image (default: {CHECK_SAMPLES})",
    )
    add("--json", action="store_true", help="print one JSON object")
    return parser


if __name__ == "__main__":
    cli(main)
