"""Emit an array or a unit of it as Verilog, with a manifest and a FuseSoC core file beside it."""

import argparse
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from hw.emit import emission
from hw.engines import ARRAY, UNITS, find_unit
from hw.fusesoc import core_file
from hw.manifest import FILE, is_ours, manifest, skipstone_version
from spec.config import Config
from spec.errors import UserError, cli
from spec.options import ENGINES, add_options, config_from


def main(argv: Sequence[str] | None = None) -> None:
    arguments = _parser().parse_args(argv)
    folder = build(config_from(arguments), arguments.out, arguments.unit)
    facts = json.loads((folder / FILE).read_text())
    if arguments.json:
        print(json.dumps({"folder": str(folder), **facts}))
        return
    rtl = sum(file.startswith("rtl/") for file in facts["files"])
    print(
        f"{folder}: {rtl} Verilog files, top module {facts['top']}, configuration {facts['digest']}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hw.build", description=__doc__)
    add_options(parser)
    units = "; ".join(f"{engine}: {', '.join(units)}" for engine, units in UNITS.items())
    parser.add_argument("--unit", default=ARRAY, help=f"one of {units} (default: {ARRAY})")
    parser.add_argument("--out", metavar="FOLDER", type=Path, help="default: build/<name>")
    parser.add_argument("--json", action="store_true", help="print the manifest as one object")
    return parser


def default_name(config: Config, unit: str = ARRAY) -> str:
    """The engine and the array's size, or the unit; then the preset if it is not the default, or
    the digest if it is no preset of that size."""
    options = ENGINES[config.engine]
    sizes = {option.field: getattr(config, option.field) for option in options.own}
    stem = f"{config.engine}-{'x'.join(map(str, sizes.values()))}"
    if unit != ARRAY:
        sizes, stem = {}, f"{config.engine}-{unit}"
    for name in options.presets:
        if options.preset(name, **sizes) == config:
            return stem + ("" if name == "default" else f"-{name}")
    return f"{stem}-{config.digest}"


def build(config: Config, out: Path | None = None, unit: str = ARRAY) -> Path:
    """Emit the array of ``config``, or a unit of it, into the folder ``out``, by default
    ``build/<name>``.

    The folder appears whole or not at all; one of an earlier build is replaced. The same
    configuration gives the same folder, byte for byte.

    Raises
    ------
    UserError
        If there is no such unit, or if the folder cannot be written, or is there already and was
        not built by us.
    """
    what, name = find_unit(config, unit), default_name(config, unit)
    out = Path("build", name) if out is None else Path(out)
    try:
        _check_free(out)
    except OSError as error:
        raise UserError(f"cannot build into {out}: {error.strerror}") from None
    emitted = emission(what.make(config), what.top)
    files = {f"rtl/{file}": text for file, text in emitted.files.items()}
    files[f"{name}.core"] = core_file(name, skipstone_version(), config, what, list(files))
    facts = manifest(name, unit, what.top, config, emitted, files)
    _replace_folder(out, files | {FILE: json.dumps(facts, indent=2) + "\n"})
    return out


def _check_free(out: Path) -> None:
    if out.absolute() == Path.cwd():
        raise UserError("cannot build into the current folder: name another one with --out")
    if not os.path.lexists(out):
        return
    if out.is_symlink() or not out.is_dir():
        raise UserError(f"cannot build into {out}: it is there already and is no folder")
    if any(out.iterdir()) and not is_ours(out):
        raise UserError(
            f"cannot build into {out}: it is there already and holds no {FILE} of an earlier "
            "build; name another folder with --out, or remove it"
        )


def _replace_folder(out: Path, files: Mapping[str, str]) -> None:
    """Write ``files`` beside ``out`` and then put them in its place."""
    fresh = out.with_name(f".{out.name}.{os.getpid()}.new")
    stale = out.with_name(f".{out.name}.{os.getpid()}.old")
    try:
        try:
            for path, text in files.items():
                (fresh / path).parent.mkdir(parents=True, exist_ok=True)
                (fresh / path).write_text(text, encoding="utf-8", newline="\n")
            if out.exists():
                out.rename(stale)
            fresh.rename(out)
        except BaseException:
            if stale.exists() and not out.exists():
                stale.rename(out)
            raise
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            shutil.rmtree(stale, ignore_errors=True)
    except OSError as error:
        raise UserError(f"cannot build into {out}: {error.strerror}") from None


if __name__ == "__main__":
    cli(main)
