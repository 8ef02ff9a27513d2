"""Compile a trained network into an image for an array: EIE, N:M, or one of each."""

import json
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from spec import image
from spec.eie.program import Program as EieProgram
from spec.errors import cli
from spec.files import read_array
from spec.mixed import Mixed
from spec.nm.config import NmConfig
from sw.compile import Result, compile_mixed, compile_network
from sw.compile.arguments import Chosen, config_from, make_parser, options_from
from sw.compile.eie.report import table as eie_table
from sw.compile.mixed.report import table as mixed_table
from sw.compile.nm.report import table as nm_table


def main(argv: Sequence[str] | None = None) -> None:
    arguments = make_parser(__doc__).parse_args(argv)
    began = time.monotonic()
    samples = read_array(arguments.calibrate)
    config, options = config_from(arguments), options_from(arguments)
    result, text = _compile(arguments.model, samples, config, options)
    path = image.write(result.program, arguments.output)
    seconds = time.monotonic() - began
    if arguments.json:
        engine = image.engine_of(result.program).name
        document = {"engine": engine} | result.to_json()
        print(json.dumps(document | {"image": str(path), "seconds": seconds}, indent=2))
        return
    print(f"{text}\n\n{path}: {_describe(result.program)}, {seconds:.1f} s")


def _compile(
    model: str, samples: np.ndarray, config: Chosen, options: dict[str, Any]
) -> tuple[Result[Any], str]:
    """Run the driver of an engine, or of both; its report, too."""
    options = options | {"progress": True}
    if isinstance(config, tuple):
        both = compile_mixed(model, samples, *config, **options)
        return both, mixed_table(both)
    if isinstance(config, NmConfig):
        own = compile_network(model, samples, config, **options)
        return own, nm_table(own)
    result = compile_network(model, samples, config, **options)
    return result, eie_table(result)


def _describe(program: image.Program) -> str:
    """What a program is for, in a few words."""
    if isinstance(program, Mixed):
        return f"{len(program.stages)} stages: " + "; ".join(map(_describe, program.stages))
    digest = f"configuration {program.config.digest}"
    if isinstance(program, EieProgram):
        return f"{program.config.pes} PEs, {digest}, {len(program.segments)} segment(s)"
    return f"{program.config.rows} x {program.config.columns} MAC units, {digest}"


if __name__ == "__main__":
    cli(main)
