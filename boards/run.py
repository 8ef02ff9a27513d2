"""Runs an image on a board, a virtual one or a recorded one, and compares with the golden model."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import numpy as np

from boards import virtual
from boards.board import Board
from boards.device import configs_of, open_device
from sim.devices import open_for
from spec import image
from spec.config import Config
from spec.errors import UserError
from sw.host.compare import first_difference, run_on
from sw.host.inputs import random_batch, read_batch
from sw.host.progress import progress
from sw.host.report import make_report, table
from sw.host.shell.link import Link
from sw.host.shell.record import RecordingLink, ReplayLink
from sw.host.shell.serial import open_serial

IMAGES = 4
"""That are drawn when no input is given."""

WAYS = ("port", "virtual", "replay")
"""Options of which one says where to run."""


def run_image(board: Board, arguments: argparse.Namespace) -> int:
    """What ``run`` does; 1 if the board and the golden model differ."""
    program = image.read(arguments.image)
    batch = _batch(program, arguments)
    ways = [way for way in WAYS if getattr(arguments, way)]
    if len(ways) != 1:
        given = " and ".join(f"--{way}" for way in ways) or "none"
        raise UserError(f"run: one of --port NAME, --virtual and --replay FILE; {given} was given")
    name = f"{board.name}, {ways[0]}" if ways != ["port"] else board.name
    with ExitStack() as opened:
        link = _open_link(board, arguments, configs_of(program), opened)
        device = open_device(link, program, name)
        with progress(f"running on {name}", len(batch)) as tick:
            result = run_on(device, program, batch, tick)
        report = make_report(device, program, result.outputs, result.counts)
    told = run_on(open_for("golden", program), program, batch)
    difference = first_difference(program, told, result)
    report["compare"] = {"device": "golden", "equal": difference is None, "difference": difference}
    print(json.dumps(report, indent=2) if arguments.json else table(report))
    verdict = difference or "same outputs, same cycles, same counters"
    stream = sys.stderr if arguments.json else sys.stdout
    print(f"\n{name} and golden: {verdict}", file=stream)
    return 1 if difference else 0


def _batch(program: image.Program, arguments: argparse.Namespace) -> np.ndarray:
    """The images to run: those of a file, or a few random ones."""
    if arguments.input:
        return read_batch(arguments.input, program, raw=arguments.raw, limit=arguments.limit)
    count = IMAGES if arguments.limit is None else arguments.limit
    return random_batch(program, count, arguments.seed)


def _check_session(there: Mapping[str, str], file: str, configs: Sequence[Config]) -> None:
    """Refuse a session with other arrays."""
    for config in configs:
        if there.get(config.engine) != config.digest:
            raise UserError(
                f"{file} is a session with the configuration {there.get(config.engine)}, "
                f"the image is for {config.digest}"
            )


def _open_link(
    board: Board, arguments: argparse.Namespace, configs: Sequence[Config], opened: ExitStack
) -> Link:
    """The link to a board, or to what stands for one; closed with ``opened``."""
    if arguments.replay:
        session = ReplayLink(arguments.replay)
        _check_session(session.digests, arguments.replay, configs)
        link: Link = session
    elif arguments.virtual:
        with progress("building the virtual board"):
            port = opened.enter_context(virtual.start(board, arguments.variant, configs))
        link = open_serial(port.path, port.baud)
    else:
        link = open_serial(arguments.port, arguments.baud)
    opened.callback(link.close)
    if arguments.record:
        link = RecordingLink(link, arguments.record, configs)
        opened.callback(link.close)
    return link
