"""Writing files so that nothing half-written is ever seen."""

import os
import tempfile
from pathlib import Path

from spec.errors import UserError


def write_file(path: Path | str, data: bytes) -> Path:
    """Write ``data`` under ``path`` in one step: the old file, or the whole new one.

    Raises
    ------
    UserError
        If the folder does not exist or cannot be written.
    """
    path = Path(path)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            umask = os.umask(0)
            os.umask(umask)
            Path(temporary).chmod(0o666 & ~umask)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink()
            raise
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
    return path


def read_file(path: Path | str) -> bytes:
    """The file's bytes, or a :class:`UserError` that says why not."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
