"""What is known of a network's channels: of a tensor's, of a layer's, of all of them.

Every output of a Linear or a convolution is a *channel* with a number of its own. Channels that are
added up, or multiplied, are *tied*: they can only be removed, or change places, together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)

SHAPE = "skipstone_shape"
"""Under which name a node holds its tensor's shape; absent if it computes no tensor."""


@dataclass
class Value:
    """What is known of a tensor that carries channels.

    Attributes
    ----------
    axis : int
        Along which dimension they lie.
    channels : Tensor
        The number of the channel at each place of that dimension.
    constants : Tensor
        Float64: what stands there, wherever in the other dimensions and whatever the network's
        input; NaN if that depends on it.
    """

    axis: int
    channels: Tensor
    constants: Tensor

    def like(self, **changes: Any) -> "Value":
        return replace(self, **changes)


@dataclass
class Place:
    """A layer, and the channels that it reads and writes.

    Attributes
    ----------
    reads, writes : Tensor
        Channels of its inputs and of its outputs. A BatchNorm's are the same.
    constants : Tensor
        Of its inputs, as in :class:`Value`.
    """

    layer: nn.Module
    reads: Tensor
    writes: Tensor
    constants: Tensor


@dataclass
class Flow:
    """Channels of a network.

    Attributes
    ----------
    example : list of Tensor
        The input that gave the shapes.
    places : dict
        Every Linear, convolution and BatchNorm that channels go through, by name.
    inputs : dict
        Channels of the network's own inputs, by name, if they were to be followed.
    fixed : dict of channel to str
        Channels that must stay where they are, and why.
    counted : dict of channel to str
        Channels whose number must stay, and why.
    """

    example: list[Tensor]
    places: dict[str, Place] = field(default_factory=dict)
    inputs: dict[str, Tensor] = field(default_factory=dict)
    fixed: dict[int, str] = field(default_factory=dict)
    counted: dict[int, str] = field(default_factory=dict)
    _parents: list[int] = field(default_factory=list)

    def new(self, count: int) -> Tensor:
        """Channels that there were none of before."""
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        return torch.arange(first, first + count)

    def root(self, channel: int) -> int:
        """The channel that stands for all that are tied with this one."""
        parents = self._parents
        while parents[channel] != channel:
            parents[channel] = parents[parents[channel]]
            channel = parents[channel]
        return channel

    def roots(self, channels: Tensor) -> Tensor:
        return torch.tensor([self.root(c) for c in channels.tolist()], dtype=torch.long)

    def tie(self, first: Tensor, second: Tensor) -> None:
        """Channels at the same place of both can only change together."""
        for one, other in zip(first.tolist(), second.tolist(), strict=True):
            one, other = sorted((self.root(one), self.root(other)))
            self._parents[other] = one

    def fix(self, channels: Tensor, why: str) -> None:
        self.fixed.update(dict.fromkeys(channels.tolist(), why))

    def fixed_roots(self, *, removal: bool) -> set[int]:
        """What stands for channels that cannot change places or, if asked for, be removed."""
        fixed = [*self.fixed, *self.counted] if removal else [*self.fixed]
        return {self.root(channel) for channel in fixed}


def shape(node: Node) -> torch.Size | None:
    """Shape of what a node computes; none if that is no tensor, or several."""
    return node.meta.get(SHAPE)


def sizes(layer: nn.Module) -> tuple[int, int, int]:
    """Inputs, outputs and groups of a layer."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features, 1
    if isinstance(layer, CONVOLUTIONS):
        return layer.in_channels, layer.out_channels, layer.groups
    count = int(getattr(layer, "num_features", 0))
    return count, count, count


def block(values: Tensor, after: Sequence[int]) -> Tensor:
    """Each value once for every place of the dimensions behind it: what Flatten does."""
    return values.repeat_interleave(math.prod(after))
