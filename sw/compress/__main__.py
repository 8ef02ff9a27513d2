"""Prune, share and quantize a PyTorch network, and report what it takes then."""

import json
import sys
from collections.abc import Sequence

from spec.errors import cli
from sw.compress.cli import run, sensitivity
from sw.compress.cli.arguments import compress_parser, scan_parser


def main(argv: Sequence[str] | None = None) -> None:
    """Parse, do it, print."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words[:1] == ["scan"]:
        arguments = scan_parser(sensitivity.__doc__).parse_args(words[1:])
        outcome = sensitivity.run(arguments)
    else:
        arguments = compress_parser(__doc__).parse_args(words)
        outcome = run.run(arguments)
    print(json.dumps(outcome.to_json(), indent=2) if arguments.json else outcome.table())


if __name__ == "__main__":
    cli(main)
