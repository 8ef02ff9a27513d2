"""Scales of a layer whose inputs and outputs belong to no other layer: each has one of its own.

In transformers a few inputs reach much farther than all others, which would leave those but few
integers. The weights, which are scaled row by row, take up a part of that: input j has the scale ::

    max |x_j| ** migration / max |w_j| ** (1 - migration)

times what makes the farthest input fit (Xiao et al., "SmoothQuant", 2023, whose alpha it is).
"""

import numpy as np

from spec.errors import UserError
from spec.nm.config import NmConfig
from spec.numbers import signed_bounds
from sw.compile.network import FloatLayer
from sw.compile.nm.chain import IntegerLayer, spread
from sw.compile.nm.observe import Observed
from sw.compile.nm.quantize import Scales, quantize_matrix

MIGRATION = 0.75
"""Of how far inputs reach, the part that their own scales take up."""


def quantize_alone(
    layer: FloatLayer,
    observed: Observed,
    config: NmConfig,
    scales: Scales,
    migration: float | None,
    room: float,
    rescale: bool,
) -> IntegerLayer:
    """Quantize a layer by how far it was seen to reach.

    Parameters
    ----------
    observed : Observed
        Of the layer.
    scales : "row" or "tensor"
        What has scales of its own: each output (for its weights and its results), or the layer.
    migration : float or None
        See :func:`migrate`.
    room : float
        How many times as far as observed values may reach.
    rescale : bool
        See :func:`sw.compile.nm.quantize.quantize_matrix`.
    """
    largest = signed_bounds(config.act_bits)[1]
    weights = np.abs(layer.weight).max(axis=0).reshape(len(observed.inputs), -1).max(axis=1)
    input_scales = migrate(observed.inputs * room, weights, migration, largest)
    reach = _filled(observed.outputs * room, largest)
    integer = quantize_matrix(
        layer.weight,
        layer.bias,
        spread(input_scales, layer),
        (reach if scales == "row" else reach.max()) / largest,
        config,
        name=layer.name,
        scales=scales,
        rescale=rescale,
    )
    return IntegerLayer(source=layer, integer=integer, input_scales=input_scales)


def check_migration(migration: float | None) -> None:
    """Refuse what is no part."""
    if migration is not None and not 0 <= migration <= 1:
        raise UserError(f"migration {migration!r}, must be from 0 to 1, or None")


def migrate(
    inputs: np.ndarray, weights: np.ndarray, migration: float | None, largest: int
) -> np.ndarray:
    """Scales of inputs, so that the one that reaches farthest becomes ``largest``.

    Parameters
    ----------
    inputs, weights : float64, shape (features,)
        Largest magnitude of each input, and of its weights.
    migration : float or None
        From 0 (scales are what weights need) to 1 (what inputs need). None is one scale for all.
    """
    reach = _filled(inputs, largest)
    if migration is None:
        return np.full_like(reach, reach.max() / largest)
    scales = reach**migration / _filled(weights, largest) ** (1 - migration)
    return scales * ((reach / scales).max() / largest)


def _filled(reach: np.ndarray, largest: int) -> np.ndarray:
    """What reaches less than a unit of one scale for all counts as such a unit: samples do not tell
    how far it may go."""
    return np.maximum(reach, (reach.max() or 1.0) / largest)
