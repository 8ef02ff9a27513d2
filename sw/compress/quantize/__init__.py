"""Integers in place of real weights and activations.

What comes out is again a network of plain floating-point tensors: each weight is an integer times a
scale. Zeros stay zeros, so every pattern of them stays as it was.
"""

from sw.compress.quantize.base import Quantized, rounded, rounding_inputs
from sw.compress.quantize.calibrate import input_ranges

__all__ = ["Quantized", "input_ranges", "rounded", "rounding_inputs"]
