"""Channel permutation: inputs of a layer change places, so that an N:M mask keeps more of it.

Pool & Yu, "Channel Permutations for N:M Sparsity", 2021. The new order of a layer's inputs is
folded into the outputs of the layers that write them, so the network computes the same function, up
to the order in which sums are added. What is added up (residual connections) changes places
together, and the sum over all layers that read it counts.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from spec.errors import UserError
from sw.compress.flow import Example, follow
from sw.compress.flow_values import NORMS, Flow, Place
from sw.compress.layers import WEIGHTED, weights
from sw.compress.patterns import Pattern, parse
from sw.compress.patterns.element import NM
from sw.compress.permutation_search import kept, search

__all__ = ["Orders", "fold", "kept", "permute", "search"]


class Orders(NamedTuple):
    """Where rows and columns of a layer's weight come from: ``new = old[rows][:, columns]``.

    Biases, BatchNorms and inputs of the network have rows only.
    """

    rows: Tensor
    columns: Tensor


Model = TypeVar("Model", bound=nn.Module)


def permute(
    model: Model,
    pattern: str | Pattern,
    example: Example | None = None,
    *,
    scores: Mapping[str, Tensor] | None = None,
    layers: Iterable[str] | None = None,
    inputs: bool = False,
    seed: int = 0,
    swaps: int | None = None,
    keep_unknown: bool = False,
    inplace: bool = False,
) -> tuple[Model, dict[str, Orders]]:
    """The network with its channels in an order that suits an N:M pattern; a copy, unless asked.

    Parameters
    ----------
    pattern : str or Pattern
        ``"2:4"`` or another N:M.
    example : Tensor or sequence of them, optional
        An input of the network. If left out, sizes are tried until the network runs.
    scores : mapping of layer name to Tensor, optional
        What each weight is worth, at least 0. Default is its magnitude.
    layers : names of layers, optional
        Those that are to get the pattern. Default is every Linear and convolution, or all that
        there are scores for.
    inputs : bool
        Whether the network's inputs may change places along dimension 1; if so, the orders say how.
        Default is that the network takes its inputs as before.
    seed, swaps
        Of the search.
    keep_unknown : bool
        Channels stay that reach an operation that is not understood. Default is to refuse.
    inplace : bool
        Change the network itself; its parameters stay the same objects.

    Returns
    -------
    model : nn.Module
    orders : dict
        By layer, and by the name of an input of the network.
    """
    n, m = _nm(pattern)
    worth = _scores(model, scores, layers)
    flow = follow(model, example, keep_unknown=keep_unknown, follow_inputs=inputs)
    _refuse_tied(flow)
    found = _searched(flow, worth, n, m, seed, swaps).all()
    result = model if inplace else copy.deepcopy(model)
    for name in flow.places:
        _reorder(result.get_submodule(name), found[name])
    return result, found


def _searched(
    flow: Flow, worth: Mapping[str, Tensor], n: int, m: int, seed: int, swaps: int | None
) -> "_Orders":
    """The best order that was found, family by family."""
    orders = _Orders(flow)
    for family in orders.families():
        parts = [
            worth[name][:, span]
            for name, place in flow.places.items()
            if name in worth and (span := orders.span(place, family, m)) is not None
        ]
        if not parts:
            continue
        order = search(parts, n, m, seed, swaps)
        before = orders.columns(worth)
        orders.apply(family, order)
        # Groups that reach over the end of what was searched may have lost.
        if _sum(worth, orders.columns(worth), n, m) <= _sum(worth, before, n, m):
            orders.apply(family, order.argsort())
    return orders


def fold(
    writers: Sequence[nn.Module], readers: Sequence[nn.Module], order: Tensor | Sequence[int]
) -> None:
    """In place: give the channels between layers another order; for networks that fx cannot trace.

    Parameters
    ----------
    writers : sequence of nn.Module
        All layers that write the channels or hold a number for each: Linear, convolutions,
        BatchNorm, LayerNorm.
    readers : sequence of nn.Module
        All that read them: Linear, convolutions. A Linear behind a Flatten has a block of inputs
        for each channel.
    order : Tensor or sequence of int
        Channel ``k`` of the new order is channel ``order[k]`` of the old one, as :func:`search`
        gives it.
    """
    order = torch.as_tensor(order, dtype=torch.long)
    count = len(order)
    if not torch.equal(order.sort().values, torch.arange(count)):
        raise UserError(f"an order must hold each number from 0 to {count - 1} once")
    changes: list[tuple[nn.Module, Orders]] = []
    for layer in writers:
        weight = _weight(layer, (*WEIGHTED, *NORMS, nn.LayerNorm), "writer")
        if len(weight) != count or getattr(layer, "groups", 1) > 1:
            raise UserError(f"the writer {layer} has not {count} outputs that can change places")
        changes.append(
            (layer, Orders(order, torch.arange(weight.shape[1] if weight.ndim > 1 else 0)))
        )
    for layer in readers:
        weight = _weight(layer, WEIGHTED, "reader")
        block, rest = divmod(weight.shape[1], count)
        if rest or (block > 1 and weight.ndim > 2) or getattr(layer, "groups", 1) > 1:
            raise UserError(f"the reader {layer} has not {count} inputs that can change places")
        columns = (order[:, None] * block + torch.arange(block)).flatten()
        changes.append((layer, Orders(torch.arange(len(weight)), columns)))
    for layer, change in changes:
        _reorder(layer, change)


class _Orders:
    """Orders that grow family by family: channels that may change places with each other."""

    def __init__(self, flow: Flow):
        self.flow = flow
        lists: dict[tuple[str, str], Tensor] = {("", name): c for name, c in flow.inputs.items()}
        for name, place in flow.places.items():
            lists["writes", name], lists["reads", name] = place.writes, place.reads
        self.roots = {key: flow.roots(channels) for key, channels in lists.items()}
        self.orders = {key: torch.arange(len(roots)) for key, roots in self.roots.items()}

    def families(self) -> list[list[int]]:
        """Channels that appear equally often in the same lists, in order. Fixed ones are none."""
        fixed = self.flow.fixed_roots(removal=False)
        appearances: dict[int, list[tuple[tuple[str, str], int]]] = {}
        for key, roots in self.roots.items():
            for root, count in zip(*map(Tensor.tolist, _counts(roots)), strict=True):
                appearances.setdefault(root, []).append((key, count))
        families: dict[tuple, list[int]] = {}
        for root in dict.fromkeys(r for roots in self.roots.values() for r in roots.tolist()):
            if root not in fixed:
                families.setdefault(tuple(appearances[root]), []).append(root)
        return [family for family in families.values() if len(family) > 1]

    def span(self, place: Place, family: list[int], m: int) -> slice | None:
        """Inputs of a layer that are the family, if they make groups of their own there."""
        if not isinstance(place.layer, WEIGHTED) or getattr(place.layer, "groups", 1) > 1:
            return None
        roots = self.flow.roots(place.reads).tolist()
        if family[0] not in roots or (start := roots.index(family[0])) % m:
            return None
        span = slice(start, start + len(family))
        return span if roots[span] == family and roots.count(family[0]) == 1 else None

    def apply(self, family: list[int], order: Tensor) -> None:
        """Let the family's channels change places wherever they are."""
        members = torch.tensor(family)
        for key, roots in self.roots.items():
            if (roots == family[0]).any():
                places = torch.stack([(roots == root).nonzero().flatten() for root in members])
                self.orders[key][places] = self.orders[key][places[order]]

    def columns(self, names: Iterable[str]) -> dict[str, Tensor]:
        """The order of these layers' inputs; of a grouped convolution's, within its groups."""
        columns = {}
        for name in names:
            place = self.flow.places.get(name)
            if place is not None:
                grouped = getattr(place.layer, "groups", 1) > 1
                weight: Any = place.layer.weight
                own = torch.arange(weight.shape[1])
                columns[name] = own if grouped else self.orders["reads", name].clone()
        return columns

    def all(self) -> dict[str, Orders]:
        none = torch.arange(0)
        found = {name: Orders(self.orders["", name], none) for name in self.flow.inputs}
        layers = [n for n, p in self.flow.places.items() if isinstance(p.layer, WEIGHTED)]
        columns = self.columns(layers)
        for name in self.flow.places:
            found[name] = Orders(self.orders["writes", name], columns.get(name, none))
        return found


def _refuse_tied(flow: Flow) -> None:
    seen: dict[int, str] = {}
    for name, place in flow.places.items():
        weight = getattr(place.layer, "weight", None)
        other = name if weight is None else seen.setdefault(id(weight), name)
        if other != name:
            raise UserError(
                f"layers {other} and {name} share one weight, so its channels cannot change places"
            )


def _counts(roots: Tensor) -> tuple[Tensor, Tensor]:
    found, counts = roots.unique(return_counts=True)
    return found, counts


def _nm(pattern: str | Pattern) -> tuple[int, int]:
    parsed = parse(pattern) if isinstance(pattern, str) else pattern
    if not isinstance(parsed, NM):
        raise UserError(f"the pattern {parsed} was given; inputs change places for N:M only")
    return parsed.n, parsed.m


def _scores(
    model: nn.Module, scores: Mapping[str, Tensor] | None, layers: Iterable[str] | None
) -> dict[str, Tensor]:
    """Of each layer that is to get the pattern."""
    found = weights(model, scores if layers is None else layers)
    if scores is None:
        return {name: weight.detach().abs() for name, weight in found.items()}
    for name, weight in found.items():
        if name not in scores:
            raise UserError(f"layer {name}: no scores were given")
        if scores[name].shape != weight.shape:
            raise UserError(
                f"layer {name}: scores of shape {tuple(scores[name].shape)} were given, "
                f"the weight's is {tuple(weight.shape)}"
            )
    return {name: scores[name] for name in found}


def _sum(worth: Mapping[str, Tensor], columns: Mapping[str, Tensor], n: int, m: int) -> float:
    """What masks keep of all layers with their inputs in this order."""
    return sum(kept(worth[name][:, order], n, m) for name, order in columns.items())


def _weight(layer: nn.Module, kinds: tuple[type, ...], role: str) -> nn.Parameter:
    weight = getattr(layer, "weight", None)
    if not isinstance(layer, kinds) or not isinstance(weight, nn.Parameter):
        raise UserError(f"{layer} cannot be a {role}")
    return weight


@torch.no_grad()
def _reorder(layer: nn.Module, orders: Orders) -> None:
    """Rows and columns of a layer, in place."""
    weight: Any = layer.weight
    for name in ("weight", "bias", "running_mean", "running_var"):
        numbers = getattr(layer, name, None)
        if numbers is not None:
            numbers.copy_(numbers[orders.rows])
    if isinstance(layer, WEIGHTED):
        weight.copy_(weight[:, orders.columns])
