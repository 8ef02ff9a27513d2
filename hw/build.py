"""Emit an EIE array as Verilog, with a manifest and a FuseSoC core file beside it."""

import argparse
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from hw.eie.array import EieArray
from hw.emit import emission
from hw.fusesoc import core_file
from hw.manifest import FILE, is_ours, manifest, skipstone_version
from spec.eie.config import PRESETS, EieConfig, preset
from spec.eie.options import add_options, config_from
from spec.errors import UserError, cli

TOP = "eie_array"


def main(argv: Sequence[str] | None = None) -> None:
    arguments = _parser().parse_args(argv)
    folder = build(config_from(arguments), arguments.out)
    if arguments.json:
        print(json.dumps({"folder": str(folder), **json.loads((folder / FILE).read_text())}))
        return
    facts = json.loads((folder / FILE).read_text())
    rtl = [file for file in facts["files"] if file.startswith("rtl/")]
    print(f"{folder}: {len(rtl)} Verilog files, top module {TOP}, configuration {facts['digest']}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hw.build", description=__doc__)
    add_options(parser)
    parser.add_argument("--out", metavar="FOLDER", type=Path, help="default: build/<name>")
    parser.add_argument("--json", action="store_true", help="print the manifest as one object")
    return parser


def default_name(config: EieConfig) -> str:
    """``eie-<pes>``; then the preset if it is not the default, or the digest if it is no preset."""
    for name in PRESETS:
        if preset(name, pes=config.pes) == config:
            return f"eie-{config.pes}" + ("" if name == "default" else f"-{name}")
    return f"eie-{config.pes}-{config.digest}"


def build(config: EieConfig, out: Path | None = None) -> Path:
    """Emit the array of ``config`` into the folder ``out``, by default ``build/<name>``.

    The folder appears whole or not at all; one of an earlier build is replaced. The same
    configuration gives the same folder, byte for byte.

    Raises
    ------
    UserError
        If the folder cannot be written, or is there already and was not built by us.
    """
    name = default_name(config)
    out = Path("build", name) if out is None else Path(out)
    try:
        _check_free(out)
    except OSError as error:
        raise UserError(f"cannot build into {out}: {error.strerror}") from None
    emitted = emission(EieArray(config), TOP)
    files = {f"rtl/{file}": text for file, text in emitted.files.items()}
    files[f"{name}.core"] = core_file(name, skipstone_version(), config.digest, TOP, list(files))
    facts = manifest(name, TOP, config, emitted, files)
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
