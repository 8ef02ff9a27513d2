"""Inputs from a file: arrays of real numbers, or of integers that are quantized already."""

from pathlib import Path

import numpy as np

from spec.errors import UserError
from spec.files import read_array
from spec.image import Program, engine_of
from sw.host.quantities import is_real, quantize_input

RANDOM_STEPS = 3
"""Of a random sequence."""


def read_batch(
    path: Path | str, program: Program, *, raw: bool = False, limit: int | None = None
) -> np.ndarray:
    """A batch for ``program`` from a ``.npy`` file.

    Parameters
    ----------
    raw : bool
        The file holds integers at the image's input scale. Otherwise it holds real numbers.
    limit : int
        Take only the first images.

    Returns
    -------
    int64, shape (images, inputs), or (images, steps, inputs) of sequences

    Raises
    ------
    UserError
        If the file cannot be read, or its type, shape or values are not for this network.
    """
    if limit is not None and limit < 1:
        raise UserError(f"a limit of {limit} images leaves nothing to run")
    array = read_array(path)
    try:
        batch = flatten(array, program.inputs, sequences=program.per_step > 0)[:limit]
        if not (np.issubdtype(batch.dtype, np.integer) if raw else is_real(batch.dtype)):
            raise UserError(_type_advice(batch.dtype, raw))
        integers = batch if raw else quantize_input(program, batch)
        return engine_of(program).check_batch(program, integers)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def random_batch(program: Program, images: int, seed: int) -> np.ndarray:
    """A batch for ``program``, half of it zeros: int64, of a shape as :func:`read_batch` gives."""
    if images < 1:
        raise UserError(f"{images} random images leave nothing to run")
    if seed < 0:
        raise UserError(f"a seed of {seed}: it must be at least 0")
    rng = np.random.default_rng(seed)
    steps = (RANDOM_STEPS,) if program.per_step > 0 else ()
    shape = (images, *steps, program.inputs)
    most = (1 << (program.act_bits - 1)) - 1
    return rng.integers(-most, most, shape, endpoint=True) * rng.integers(0, 2, shape)


def flatten(array: np.ndarray, inputs: int, *, sequences: bool = False) -> np.ndarray:
    """Images as vectors: shape (images, ...) becomes (images, inputs); one vector is one image.

    With ``sequences``, (images, steps, ...) becomes (images, steps, inputs), and one sequence of
    vectors is one image.
    """
    outer = 2 if sequences else 1
    flat = array[None] if array.ndim == outer else array
    if flat.ndim > outer and flat.size:
        flat = flat.reshape(*flat.shape[:outer], -1)
    if flat.ndim != outer + 1 or flat.shape[-1] != inputs or 0 in flat.shape[1:]:
        dimensions = "(images, steps, ...)" if sequences else "(images, ...)"
        each = "step" if sequences else "image"
        raise UserError(
            f"its shape is {array.shape}, must be {dimensions} with {inputs} values for each {each}"
        )
    if len(flat) == 0:
        raise UserError("holds no image")
    return flat


def _type_advice(dtype: np.dtype, raw: bool) -> str:
    if raw:
        return f"holds {dtype}; raw inputs are integers at the image's input scale"
    return (
        f"holds {dtype}; inputs are real numbers (floats, or uint8 such as pixels), or integers "
        "that are quantized already, said so with --raw"
    )
