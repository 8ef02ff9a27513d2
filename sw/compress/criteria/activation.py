"""Activation: outputs that are nearly always zero matter little.

Hu et al., "Network Trimming", 2016: the average percentage of zeros (APoZ) of each output.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx

from spec.errors import UserError
from sw.compress.criteria.base import Context, Criterion
from sw.compress.criteria.capture import call, evaluating
from sw.compress.criteria.follow import (
    NORMALIZATIONS,
    PASSING,
    RECTIFIERS,
    RECTIFYING,
    after,
    is_one_of,
    trace,
)
from sw.compress.criteria.scaling_factor import per_output
from sw.compress.patterns.base import Pattern


class Activation(Criterion):
    """The share of an output's values that are not zero behind its ReLU: 1 - APoZ.

    Counted over all calibration data, and all places of a convolution's output. Chooses rows and
    channels. Between the layer and its ReLU may be BatchNorm and Dropout.
    """

    name = "activation"

    def scores(self, context: Context, patterns: Mapping[str, Pattern]) -> dict[str, Tensor]:
        batches = context.data(self.name)
        graph = trace(context.model, self.name)
        rectifies = is_one_of(graph, RECTIFIERS, RECTIFYING)
        passes = is_one_of(graph, (*NORMALIZATIONS, *PASSING), set())
        nodes = {name: after(graph, name, rectifies, passes) for name in context.weights}
        for name, node in nodes.items():
            if node is None:
                raise UserError(
                    f"layer {name}: no ReLU follows it, whose zeros the criterion {self.name} "
                    "counts; leave the layer out, or take another one"
                )
        # Behind a convolution's outputs come the dimensions of its kernel, behind a Linear's none.
        axes = {name: 1 - weight.ndim for name, weight in context.weights.items()}
        counter = _Counter(graph, {node: axes[name] for name, node in nodes.items() if node})
        with evaluating(context.model), evaluating(graph):
            for inputs, _ in batches:
                call(counter.run, inputs)
        return {
            name: per_output(counter.share(node), context.weights[name])
            for name, node in nodes.items()
            if node
        }


class _Counter(fx.Interpreter):
    """Runs a network, and counts what is not zero at some of its nodes."""

    def __init__(self, graph: fx.GraphModule, axes: Mapping[fx.Node, int]):
        super().__init__(graph)
        self._axes = axes
        self._found: dict[fx.Node, tuple[Tensor, int]] = {}

    def run_node(self, n: fx.Node) -> Any:
        values = super().run_node(n)
        if n in self._axes:
            outputs = values.movedim(self._axes[n], -1).flatten(0, -2)
            seen, total = self._found.get(n, (torch.zeros(outputs.shape[1]), 0))
            self._found[n] = (seen + (outputs != 0).sum(0), total + len(outputs))
        return values

    def share(self, node: fx.Node) -> Tensor:
        """Of each output's values those that are not zero, 0...1."""
        seen, total = self._found[node]
        return seen / total
