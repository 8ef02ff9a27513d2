"""``python -m sim.run net.skip --input x.npy --on golden``: run an image and report."""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import closing

import numpy as np

from sim.devices import DEVICES, check_name, open_for
from sim.waves import WAVES
from spec import image
from spec.errors import cli
from sw.host.compare import Result, first_difference, run_on
from sw.host.inputs import read_batch
from sw.host.progress import progress
from sw.host.report import make_report, table


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 if two devices differ; by ``cli`` 1 if a device failed, 2 for bad input."""
    arguments = _parse(argv)
    for name in (arguments.on, arguments.compare or arguments.on):
        check_name(name)
    program = image.read(arguments.image)
    batch = read_batch(arguments.input, program, raw=arguments.raw, limit=arguments.limit)
    report, result = _run(arguments.on, program, batch, arguments.waves)
    difference = None
    if arguments.compare:
        _, other = _run(arguments.compare, program, batch, None)
        difference = first_difference(program, result, other)
        report["compare"] = {
            "device": arguments.compare,
            "equal": difference is None,
            "difference": difference,
        }
    print(json.dumps(report, indent=2) if arguments.json else table(report))
    if arguments.compare:
        verdict = difference or "same outputs, same cycles, same counters"
        stream = sys.stderr if arguments.json else sys.stdout
        print(f"\n{arguments.on} and {arguments.compare}: {verdict}", file=stream)
    return 1 if difference else 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sim.run",
        description="Run an image on a device: outputs, cycles and their causes.",
    )
    devices = ", ".join(DEVICES)
    parser.add_argument("image", help="file written by python -m sw.compile")
    parser.add_argument(
        "--input",
        required=True,
        metavar="X.npy",
        help="images, one per row; (images, steps, inputs) for an LSTM",
    )
    parser.add_argument("--on", default="golden", metavar="DEVICE", help=f"one of {devices}")
    parser.add_argument("--compare", metavar="DEVICE", help="run there too; exit 1 if they differ")
    parser.add_argument("--limit", type=int, metavar="N", help="run the first N images only")
    parser.add_argument("--raw", action="store_true", help="the input is quantized already")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--waves", action="store_true", default=None, help="record waveforms")
    return parser.parse_args(argv)


def _run(
    name: str, program: image.Program, batch: np.ndarray, waves: bool | None
) -> tuple[dict, Result]:
    """Open a device, run the batch, and report."""
    with progress(f"opening {name}"):
        device = open_for(name, program, waves=waves)
    with closing(device), progress(f"running on {name}", len(batch)) as tick:
        result = run_on(device, program, batch, tick)
    if waves:
        print(f"waveforms are in {WAVES}", file=sys.stderr)
    return make_report(device, program, result.outputs, result.counts), result


if __name__ == "__main__":
    cli(main)
