"""The folder of a build: it appears whole or not at all, and replaces none but our own."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from hw.manifest import FILE, is_ours
from spec.errors import UserError


def check_free(out: Path) -> None:
    """Refuse a folder that may not be replaced, with :class:`UserError`."""
    try:
        _check_free(out)
    except OSError as error:
        raise UserError(f"cannot build into {out}: {error.strerror}") from None


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


def replace_folder(out: Path, files: Mapping[str, str]) -> None:
    """Write ``files``, texts by path, beside ``out`` and then put them in its place."""
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
