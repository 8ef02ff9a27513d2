"""A Linear or Conv2d by itself as a layer of the compiler."""

from dataclasses import replace

import numpy as np
from torch import nn

from spec.errors import UserError
from sw.compile.capture import capture
from sw.compile.network import FloatLayer
from sw.compile.nm.observe import Part
from sw.compile.tensors import tensor_values


def lower(name: str, layer: Part, image: tuple[int, int] | None = None) -> FloatLayer:
    """Take a layer's weights.

    Parameters
    ----------
    image : (int, int), for a Conv2d
        Height and width of what it is given.

    Raises
    ------
    UserError
        Names the layer and what of it the array cannot compute.
    """
    if isinstance(layer, nn.Conv2d):
        assert image is not None
        try:
            (found,) = capture(layer, np.zeros((1, layer.in_channels, *image))).layers
        except UserError as error:
            raise UserError(f"layer {name}: {error}") from None
        assert isinstance(found, FloatLayer)
        return replace(found, name=name)
    weight = tensor_values(layer.weight, f"{name}.weight")
    bias = np.zeros(len(weight))
    if layer.bias is not None:
        bias = tensor_values(layer.bias, f"{name}.bias")
    return FloatLayer(name=name, weight=weight, bias=bias, relu=False)
