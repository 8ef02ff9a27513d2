"""Least squares: outputs go that the layer behind needs least, and that layer makes up for them.

He et al., "Channel Pruning for Accelerating Very Deep Neural Networks", 2017, and Luo et al.,
"ThiNet", 2017; the order in which outputs go is that of Optimal Brain Surgeon, by whole channels.
"""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from spec.errors import UserError
from sw.compress.criteria.base import Context, Criterion
from sw.compress.criteria.capture import Stage, moments, stages
from sw.compress.criteria.readers import Reader, readers_of, refit_reader, removal_costs
from sw.compress.criteria.reconstruct import DAMPING, Rows
from sw.compress.criteria.scaling_factor import per_output
from sw.compress.flow import Flow, follow
from sw.compress.layers import weights
from sw.compress.patterns.base import Pattern


class LeastSquares(Criterion):
    """Whole outputs by what their loss costs the layers behind, which are refitted. For rows and
    channels.

    Outputs of a layer go one by one, always the one whose inputs the layers behind can replace best
    by the others: by the exact rise of their least-squares error on the calibration data. Then
    their weights are the best for the inputs that are left. One layer is done after the other, each
    with the inputs that those before still give.

    The layers behind must be among those that are pruned, as their weights change: give the last
    one a density of 1.

    Parameters
    ----------
    damping : float
        What is added to the diagonal of the inputs' second moments, as a share of its mean.
    """

    name = "least-squares"

    judges_masked = False

    def __init__(self, damping: float = DAMPING):
        if not 0 < damping < float("inf"):
            raise UserError(f"a damping of {damping:g} was given, it must be above 0")
        self.damping = damping

    def scores(self, context: Context, patterns: Mapping[str, Pattern]) -> dict[str, Tensor]:
        """By how much the error of the layers behind has risen when an output goes, all that go
        before it included."""
        return self._scores(context, list(context.weights))

    def masks(
        self,
        context: Context,
        patterns: Mapping[str, Pattern],
        density: Mapping[str, float] | float | None,
    ) -> dict[str, Tensor]:
        if not isinstance(density, Mapping):
            return super().masks(context, patterns, density)
        # Layers that keep everything are only there to be refitted.
        pruned = [name for name in context.weights if patterns[name].allowed(density[name]) < 1]
        scores = self._scores(context, pruned)
        return {
            name: patterns[name].mask(scores[name].masked_fill(weight == 0, 0), density[name])
            if name in scores
            else torch.ones_like(weight, dtype=torch.bool)
            for name, weight in context.weights.items()
        }

    def _scores(self, context: Context, names: list[str]) -> dict[str, Tensor]:
        flow, order = self._look(context)
        scores = {}
        for name in names:
            weight = context.weights[name]
            readers = readers_of(context, flow, order, name)
            rows = [self._rows(context.model, context, one) for one in readers]
            scores[name] = per_output(removal_costs(readers, rows, len(weight)), weight)
        return scores

    def solve(
        self,
        context: Context,
        patterns: Mapping[str, Pattern],
        density: Mapping[str, float] | float | None,
    ) -> dict[str, tuple[Tensor, Tensor]]:
        if isinstance(density, (int, float)):
            masks = self.masks(context, patterns, density)
            density = {name: float(mask.double().mean()) for name, mask in masks.items()}
        shares = {} if density is None else density
        flow, order = self._look(context)
        pruned = copy.deepcopy(context.model)
        targets = weights(pruned, context.weights)
        masks = {name: torch.ones_like(one, dtype=torch.bool) for name, one in targets.items()}
        unread: dict[str, Tensor] = {}
        for name in [name for stage in order for name in stage.layers]:
            share = patterns[name].allowed(shares.get(name))
            if share == 1:
                continue
            readers = readers_of(context, flow, order, name)
            rows = [self._rows(pruned, context, one) for one in readers]
            costs = removal_costs(readers, rows, len(masks[name]))
            masks[name] = patterns[name].mask(per_output(costs, masks[name]), share)
            gone = ~masks[name].flatten(1).any(1)
            with torch.no_grad():
                targets[name].mul_(masks[name])
                for reader, one in zip(readers, rows, strict=True):
                    lost = gone[reader.outputs] & (reader.outputs >= 0)
                    # What an earlier layer does not give any more is not read again.
                    unread[reader.name] = lost = lost | unread.get(reader.name, lost)
                    targets[reader.name].copy_(refit_reader(one, ~lost, targets[reader.name]))
        return {
            name: (masks[name], targets[name].detach() * masks[name]) for name in context.weights
        }

    def _look(self, context: Context) -> tuple[Flow, list[Stage]]:
        first = context.data(self.name)[0][0]
        order = stages(context.model, context.weights, first, self.name)
        return follow(context.model, first), order

    def _rows(self, pruned: nn.Module, context: Context, reader: Reader) -> Rows:
        """What a layer behind is to reconstruct: its outputs in the network as it was."""
        batches = context.data(self.name)
        found = moments(context.model, pruned, reader.stage, batches)
        new, cross, old = (one[0] for one in found)
        weight = context.weights[reader.name].detach().movedim(1, -1).flatten(1).double()
        total = float(((weight @ old) * weight).sum())
        return Rows(weight, new, weight @ cross, total, self.damping)
