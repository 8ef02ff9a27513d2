"""Pruning whole channels: layers that are added up lose the same ones, and in the end they go."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from spec.errors import UserError
from sw.compress.channels import coupled, removable, shrink
from sw.compress.criteria.base import Context, Criterion
from sw.compress.flow import Example
from sw.compress.patterns.base import Pattern
from sw.compress.patterns.groups import Channel
from sw.compress.schedule.base import Pruning


def together(
    criterion: Criterion,
    model: nn.Module,
    patterns: Mapping[str, Pattern],
    example: Example | None = None,
) -> Criterion:
    """The criterion; for channels one that judges those of layers that are added up as one.

    Raises
    ------
    UserError
        If outputs of a layer are needed whatever they are, or coupled to those of a layer that is
        not to be pruned.
    """
    pruned = {name for name, pattern in patterns.items() if isinstance(pattern, Channel)}
    if not pruned:
        return criterion
    free = removable(model, example)
    for name in pruned:
        if not bool(free[name].any()):
            raise UserError(
                f"layer {name}: none of its outputs can be removed (they are the network's, or "
                "tied to its inputs): leave the layer out, or use the pattern row"
            )
    sets = [one for one in coupled(model, example) if one & pruned]
    for one in sets:
        if not one <= pruned:
            raise UserError(
                f"the outputs of {', '.join(sorted(one))} are added up, so their channels go "
                f"together, but {', '.join(sorted(one - pruned))} was not to lose any"
            )
    return _Together(criterion, sets) if sets else criterion


class _Together(Criterion):
    """Each output of coupled layers has the sum of their scores."""

    def __init__(self, criterion: Criterion, sets: list[set[str]]):
        self.name = criterion.name
        self._criterion = criterion
        self._sets = sets

    def scores(self, context: Context, patterns: Mapping[str, Pattern]) -> dict[str, Tensor]:
        scores = self._criterion.scores(context, patterns)
        for one in self._sets:
            rows = torch.stack([scores[name].double().flatten(1).mean(1) for name in one]).sum(0)
            for name in one:
                shape = [-1] + [1] * (scores[name].ndim - 1)
                scores[name] = rows.reshape(shape).expand(scores[name].shape)
        return scores


def removed(pruning: Pruning) -> nn.Module:
    """The network without the channels that were pruned; itself if no layer has the pattern."""
    model = pruning.context.model.eval()
    pruned = any(isinstance(pattern, Channel) for pattern in pruning.patterns.values())
    if not pruned:
        return model
    # Channels that reach what is not understood were not pruned, and stay.
    return shrink(model, pruning.context.example, keep_unknown=True, inplace=True)
