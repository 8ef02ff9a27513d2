"""Emit an array or a unit of it as Verilog, or a shell around arrays, with a manifest, a FuseSoC
core file and, of a shell, its registers in many formats."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from hw.designs import Design, shell_design, unit_design
from hw.emit import emission
from hw.engines import ARRAY, UNITS
from hw.folder import check_free, replace_folder
from hw.fusesoc import core_file
from hw.manifest import FILE, manifest, skipstone_version
from hw.shells import LINKS
from spec.config import Config
from spec.errors import UserError, cli
from spec.options import add_options, add_pair_options, config_from, pair_from, refuse_pair_options

SETTINGS = {name: text for link in LINKS.values() for name, text in link.settings.items()}
"""Options that only some shells have."""

BOTH = "both"
"""What ``--engine`` takes for a shell around an array of each engine."""


def main(argv: Sequence[str] | None = None) -> None:
    arguments = _parser().parse_args(argv)
    folder = build_design(_design(arguments), arguments.out)
    facts = json.loads((folder / FILE).read_text())
    if arguments.json:
        print(json.dumps({"folder": str(folder), **facts}))
        return
    rtl = sum(file.startswith("rtl/") for file in facts["files"])
    engines = facts.get("engines", {facts.get("engine"): facts})
    digests = " and ".join(one["digest"] for one in engines.values())
    print(f"{folder}: {rtl} Verilog files, top module {facts['top']}, configuration {digests}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hw.build", description=__doc__)
    add_options(parser, [BOTH])
    add_pair_options(parser, BOTH)
    units = "; ".join(f"{engine}: {', '.join(units)}" for engine, units in UNITS.items())
    parser.add_argument("--unit", help=f"one of {units} (default: {ARRAY})")
    parser.add_argument(
        "--shell",
        help=f"emit arrays within a shell: {', '.join(LINKS)} (default: an array by itself)",
    )
    for name, text in SETTINGS.items():
        parser.add_argument(f"--{name}", type=float, metavar="N", help=f"of that shell: {text}")
    parser.add_argument("--out", metavar="FOLDER", type=Path, help="default: build/<name>")
    parser.add_argument("--json", action="store_true", help="print the manifest as one object")
    return parser


def _design(arguments: argparse.Namespace) -> Design:
    """What the options ask for."""
    if arguments.engine == BOTH:
        if arguments.shell is None:
            raise UserError(f"--engine {BOTH} needs a shell around the arrays, such as --shell axi")
        configs: list[Config] = list(pair_from(arguments))
    else:
        refuse_pair_options(arguments, BOTH)
        configs = [config_from(arguments)]
    given = {name: getattr(arguments, name) for name in SETTINGS}
    settings = {name: value for name, value in given.items() if value is not None}
    if arguments.shell is None:
        for name in settings:
            raise UserError(f"--{name} is for a shell: give --shell, too")
        return unit_design(configs[0], arguments.unit or ARRAY)
    if arguments.unit is not None:
        raise UserError(f"--unit {arguments.unit}: a shell is around whole arrays")
    return shell_design(configs, arguments.shell, **settings)


def build(config: Config, out: Path | None = None, unit: str = ARRAY) -> Path:
    """Emit the array of ``config``, or a unit of it: :func:`build_design` of that.

    Raises
    ------
    UserError
        As that, and if there is no such unit.
    """
    return build_design(unit_design(config, unit), out)


def build_design(design: Design, out: Path | None = None) -> Path:
    """Emit a design into the folder ``out``, by default ``build/<name>``.

    The folder appears whole or not at all; one of an earlier build is replaced. The same
    configuration gives the same folder, byte for byte.

    Raises
    ------
    UserError
        If the folder cannot be written, or is there already and was not built by us.
    """
    out = Path("build", design.name) if out is None else Path(out)
    check_free(out)
    emitted = emission(design.make(), design.top)
    rtl = {f"rtl/{file}": text for file, text in emitted.files.items()}
    core = core_file(design, skipstone_version(), list(rtl))
    files = rtl | {f"{design.name}.core": core} | dict(design.files)
    facts = manifest(design.name, design.top, design.facts, emitted, files)
    replace_folder(out, files | {FILE: json.dumps(facts, indent=2) + "\n"})
    return out


if __name__ == "__main__":
    cli(main)
