"""The scaling factor: outputs that BatchNorm multiplies with little matter little.

Liu et al., "Learning Efficient Convolutional Networks through Network Slimming", 2017: gamma is
trained with an L1 penalty, which makes many of them small.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from spec.errors import UserError
from sw.compress.criteria.base import Context, Criterion
from sw.compress.criteria.follow import (
    NORMALIZATIONS,
    PASSING,
    after,
    is_one_of,
    module_of,
    trace,
)
from sw.compress.patterns.base import Pattern


class ScalingFactor(Criterion):
    """|gamma| of the BatchNorm behind a layer, one for each output. Chooses rows and channels.

    Train with :func:`scaling_penalty` first. The BatchNorm must take the layer's outputs and
    nothing else must, as the network's graph has it; its order of modules does not count.
    """

    name = "scaling-factor"

    def scores(self, context: Context, patterns: Mapping[str, Pattern]) -> dict[str, Tensor]:
        graph = trace(context.model, self.name)
        normalizes = is_one_of(graph, NORMALIZATIONS, set())
        passes = is_one_of(graph, PASSING, set())
        scores = {}
        for name, weight in context.weights.items():
            node = after(graph, name, normalizes, passes)
            gamma = None if node is None else getattr(module_of(graph, node), "weight", None)
            if not isinstance(gamma, Tensor):
                raise UserError(
                    f"layer {name}: no BatchNorm with a scaling factor follows it, which the "
                    f"criterion {self.name} judges by; leave the layer out, or take another one"
                )
            scores[name] = per_output(gamma.detach().abs(), weight)
        return scores


def scaling_penalty(model: nn.Module) -> Tensor:
    """The L1 norm of all BatchNorms' scaling factors: to be added to the loss, times some 1e-4."""
    found = [
        layer.weight
        for layer in model.modules()
        if isinstance(layer, NORMALIZATIONS) and isinstance(layer.weight, Tensor)
    ]
    if not found:
        raise UserError("the network has no BatchNorm with scaling factors to penalize")
    return torch.stack([gamma.abs().sum() for gamma in found]).sum()


def per_output(values: Tensor, weight: Tensor) -> Tensor:
    """What is said of each output, for each of its weights."""
    return values.reshape(-1, *[1] * (weight.ndim - 1)).expand(weight.shape)
