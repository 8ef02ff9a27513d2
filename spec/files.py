"""Writing files so that nothing half-written is ever seen."""

import io
import os
import tempfile
from pathlib import Path

import numpy as np

from spec.errors import UserError


def write_file(path: Path | str, data: bytes) -> Path:
    """Write ``data`` under ``path`` in one step: the old file, or the whole new one.

    Raises
    ------
    UserError
        If the folder does not exist or cannot be written, or something that is no file is there.
    """
    path = Path(path).resolve()
    if path.exists() and not path.is_file():
        raise UserError(f"cannot write {path}: it is there already and is no file")
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
            Path(temporary).unlink(missing_ok=True)  # ^C may come when it is in place already
            raise
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from None
    return path


def make_folder(path: Path | str) -> None:
    """Make a folder and those above it, or raise a :class:`UserError` that says why not."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {path}: {error.strerror}") from None


def read_file(path: Path | str) -> bytes:
    """The file's bytes, or a :class:`UserError` that says why not."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None


def read_array(path: Path | str) -> np.ndarray:
    """The array in a ``.npy`` file; nothing in it is executed.

    Raises
    ------
    UserError
        If it cannot be read, or holds anything but one array of numbers.
    """
    data = read_file(path)
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except Exception:  # a broken header raises whatever Python's tokenizer, zip or allocator does
        raise UserError(f"{path}: not a .npy file of numbers, or a truncated one") from None
    if not isinstance(array, np.ndarray):
        raise UserError(f"{path}: holds several arrays (.npz), must hold one (.npy)")
    return array
