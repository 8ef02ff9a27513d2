"""Outputs that are zero are removed, so that the network really gets smaller.

An output of a Linear or a convolution (a *channel*) goes, together with its BatchNorm and the
inputs that read it, if nobody needs it: wherever it is read, all weights for it are zero, or it is
the same constant for every input of the network. The latter is so if its own weights are zero; what
then remains (its bias, a BatchNorm's shift, through the ReLU behind) moves into the biases of the
layers that read it. A convolution that pads with zeros sees another value at the border than a
constant that is not zero: such a channel stays. Outputs of the network always stay, channels that
are added up go together or not at all, channels of a grouped convolution go by whole groups, and
every layer keeps at least one output.
"""

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from spec.errors import UserError
from sw.compress.constants import bias, foldable, folded
from sw.compress.flow import Example, follow
from sw.compress.flow_values import NORMS, Flow
from sw.compress.layers import WEIGHTED, weights
from sw.compress.prune import zero

Model = TypeVar("Model", bound=nn.Module)


def shrink(
    model: Model,
    example: Example | None = None,
    *,
    keep_unknown: bool = False,
    inplace: bool = False,
) -> Model:
    """The network without the channels that nobody needs; a copy, unless ``inplace``.

    In evaluation mode it computes the same as before, up to rounding. Weights that change their
    size are new parameters: an optimizer has to be made anew.

    Parameters
    ----------
    example : Tensor or sequence of them, optional
        An input. If left out, sizes are tried until the network runs.
    keep_unknown : bool
        Channels stay that reach an operation that is not understood, or whose number the network's
        forward states. Default is to refuse the network.

    Raises
    ------
    UserError
        See :func:`sw.compress.flow.follow`; or if channels are zero and the forward states how many
        there are.
    """
    flow = follow(model, example, keep_unknown=keep_unknown)
    gone = _unneeded(flow, keep_unknown)
    result = model if inplace else copy.deepcopy(model)
    # What only a removed output read is not needed any more in the next round.
    while gone:
        _remove(result, flow, gone)
        flow = follow(result, flow.example, keep_unknown=keep_unknown)
        gone = _unneeded(flow, keep_unknown)
    return result


def removable(model: nn.Module, example: Example | None = None) -> dict[str, Tensor]:
    """Which outputs of each Linear and convolution may be removed if they are zero. Bool.

    Others are the network's outputs, or tied to them or to its inputs, or not understood.
    """
    flow = follow(model, example, keep_unknown=True)
    stay = flow.fixed_roots(removal=True)
    return {
        name: torch.tensor([root not in stay for root in flow.roots(place.writes).tolist()])
        for name, place in flow.places.items()
        if isinstance(place.layer, WEIGHTED)
    }


def coupled(model: nn.Module, example: Example | None = None) -> list[set[str]]:
    """Sets of layers whose outputs are tied one to one: output ``k`` of all of them goes, or none.

    They are added up (residual connections), or one is a depthwise convolution of another.
    """
    flow = follow(model, example, keep_unknown=True)
    sets: dict[tuple[int, ...], set[str]] = {}
    for name, place in flow.places.items():
        if isinstance(place.layer, WEIGHTED):
            sets.setdefault(tuple(flow.roots(place.writes).tolist()), set()).add(name)
    return [names for names in sets.values() if len(names) > 1]


def silence(model: nn.Module, masks: Mapping[str, Tensor], example: Example | None = None) -> None:
    """In place: outputs whose weights are all pruned become exactly zero, with all BatchNorms.

    Their bias, and factor and shift of the BatchNorms that they go through, are set to zero.
    """
    zero(silence_targets(model, masks, example))


def silence_targets(
    model: nn.Module, masks: Mapping[str, Tensor], example: Example | None = None
) -> list[tuple[Tensor, Tensor]]:
    """What :func:`silence` sets to zero: each parameter with ones where it stays.

    For :func:`sw.compress.prune.zero`, after each step of an optimizer.

    Parameters
    ----------
    masks : mapping of layer name to bool tensor
        ``True`` where a weight stays; shape of the layer's weight.
    """
    silent: dict[str, Tensor] = {}
    for name, weight in weights(model, masks).items():
        if masks[name].shape != weight.shape:
            raise UserError(
                f"layer {name}: the mask's shape is {tuple(masks[name].shape)}, "
                f"the weight's {tuple(weight.shape)}"
            )
        silent[name] = ~masks[name].bool().flatten(1).any(1).cpu()
    if not any(rows.any() for rows in silent.values()):
        return []
    targets: list[tuple[Tensor, Tensor]] = []
    for name, place in follow(model, example, keep_unknown=True, silent=silent).places.items():
        layer: Any = place.layer
        if isinstance(layer, NORMS):
            quiet, parameters = ~place.constants.isnan(), [layer.weight, layer.bias]
        else:
            quiet, parameters = silent.get(name), [layer.bias]
        if quiet is not None and quiet.any():
            targets += [(p, (~quiet).to(p)) for p in parameters if p is not None]
    return targets


def _remove(model: nn.Module, flow: Flow, gone: set[int]) -> None:
    """Remove channels, in place."""
    lost = torch.tensor(sorted(gone))
    for name, place in flow.places.items():
        reads, writes = (~torch.isin(flow.roots(c), lost) for c in (place.reads, place.writes))
        layer = model.get_submodule(name)
        if isinstance(layer, NORMS):
            _narrow_norm(layer, reads)
        elif not (reads.all() and writes.all()):
            _narrow(layer, reads, writes, place.constants)


def _unneeded(flow: Flow, keep_unknown: bool) -> set[int]:
    """What stands for the channels to remove."""
    read: set[int] = flow.fixed_roots(removal=False)
    layers = {n: p for n, p in flow.places.items() if isinstance(p.layer, WEIGHTED)}
    for place in layers.values():
        layer: Any = place.layer
        if getattr(layer, "groups", 1) > 1:
            continue  # its inputs and outputs are tied: it goes as what reads its outputs says
        used = (layer.weight != 0).transpose(0, 1).flatten(1).any(1).cpu()
        needed = used & foldable(layer, place.constants).isnan()
        read.update(flow.roots(place.reads[needed]).tolist())
    counted = {flow.root(channel): why for channel, why in flow.counted.items()}
    gone: set[int] = set()
    for name, place in layers.items():
        roots = flow.roots(place.writes).tolist()
        for output, root in enumerate(roots):
            if root in counted and root not in read and not keep_unknown:
                raise UserError(
                    f"layer {name}: nobody needs output {output}, but {counted[root]}; flatten(1) "
                    "takes any number, and keep_unknown=True leaves the channels alone"
                )
        gone.update(root for root in roots if root not in read and root not in counted)
    for place in layers.values():
        roots = flow.roots(place.writes).tolist()
        if gone.issuperset(roots):
            gone.discard(roots[0])
    return gone


def _narrow(layer: Any, reads: Tensor, writes: Tensor, constants: Tensor) -> None:
    """Only these inputs and outputs of a layer; constants of the others go into its bias."""
    inputs_of_group = layer.weight.shape[1]
    grouped = getattr(layer, "groups", 1) > 1
    added = torch.zeros(int(writes.sum()), dtype=torch.double)
    if not grouped:
        lost = torch.where(reads, torch.nan, constants)
        added = folded(layer, writes, lost)
    if layer.bias is not None or added.any():
        layer.bias = _parameter(bias(layer)[writes] + added, layer.weight)
    weight = layer.weight.detach()[writes.to(layer.weight.device)]
    kept = weight if grouped else weight[:, reads.to(weight.device)]
    layer.weight = _parameter(kept, layer.weight)
    inputs, outputs = int(reads.sum()), int(writes.sum())
    if isinstance(layer, nn.Linear):
        layer.in_features, layer.out_features = inputs, outputs
    else:
        layer.in_channels, layer.out_channels = inputs, outputs
        layer.groups = inputs // inputs_of_group if grouped else 1


def _narrow_norm(norm: Any, kept: Tensor) -> None:
    """Only these channels of a BatchNorm."""
    if kept.all():
        return
    norm.num_features = int(kept.sum())
    for name in ("weight", "bias"):
        if (given := getattr(norm, name)) is not None:
            setattr(norm, name, _parameter(given.detach()[kept.to(given.device)], given))
    for name in ("running_mean", "running_var"):
        if (given := getattr(norm, name)) is not None:
            setattr(norm, name, given[kept.to(given.device)].clone())


def _parameter(values: Tensor, like: nn.Parameter) -> nn.Parameter:
    return nn.Parameter(values.to(like).clone(), requires_grad=like.requires_grad)
