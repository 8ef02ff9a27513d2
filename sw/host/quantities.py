"""Real numbers to a device's integers and back, by the scales that the image carries."""

import numpy as np

from spec.errors import UserError
from spec.image import Program
from spec.numbers import quantize


def is_real(dtype: np.dtype) -> bool:
    """Whether numbers of this type are real inputs: floats, and uint8 such as pixels, 0...255."""
    return np.issubdtype(dtype, np.floating) or dtype == np.uint8


def quantize_input(program: Program, real: np.ndarray) -> np.ndarray:
    """Integers nearest to ``real / input_scale``, saturated. int64, same shape.

    Raises
    ------
    UserError
        If the input is neither floating-point nor uint8, or holds NaN or infinity.
    """
    real = np.asarray(real)
    if not is_real(real.dtype):
        raise UserError(f"real inputs are floating-point numbers or uint8, these are {real.dtype}")
    odd = ~np.isfinite(real)
    if odd.any():
        where = ", ".join(str(index[0]) for index in np.nonzero(odd))
        raise UserError(
            f"the input holds {odd.sum()} values that are NaN or infinite, the first at [{where}]"
        )
    return quantize(real, program.input_scale, program.act_bits)


def dequantize_output(program: Program, integers: np.ndarray) -> np.ndarray:
    """Real outputs: the integers times their scale. float64, same shape."""
    return np.asarray(integers, np.float64) * np.asarray(program.output_scale)
