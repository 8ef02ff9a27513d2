"""Operations that change a tensor's shape or size, and where its channels are then.

Each takes the node of a graph and what is known of its first input; a sentence says why it cannot
be followed.
"""

import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node

from sw.compress.flow_values import Value, block, shape

POOLING = re.compile(r"(adaptive)?(max|avg)pool([123])d")
"""Names of poolings, without underscores: of which kind, over how many dimensions."""


def argument(node: Node, at: int, name: str, default: Any) -> Any:
    """An argument of a node, by place or by name."""
    return node.args[at] if at < len(node.args) else node.kwargs.get(name, default)


def permuted(node: Node, value: Value) -> Value:
    """Dimensions in another order: the channels' is where that of a tensor's only 1 goes."""
    marks = torch.empty([int(at == value.axis) for at in range(len(_before(node)))], device="meta")
    target: Any = node.target
    operation = getattr(Tensor, target) if node.op == "call_method" else target
    moved = operation(marks, *node.args[1:], **node.kwargs)
    return value.like(axis=list(moved.shape).index(1))


def reduced(node: Node, value: Value) -> Value | str:
    """A mean or a maximum over places."""
    dimensions: Any = argument(node, 1, "dim", ())
    listed = [dimensions] if isinstance(dimensions, int) else dimensions
    gone = {at % len(_before(node)) for at in listed}
    if not gone or value.axis in gone:
        return "it reduces over channels"
    if argument(node, 2, "keepdim", False):
        return value
    return value.like(axis=value.axis - sum(dimension < value.axis for dimension in gone))


def pooled(
    node: Node, value: Value, pooling: re.Match[str], module: nn.Module | None
) -> Value | str:
    """A maximum or an average over windows."""
    adaptive, kind, dimensions = pooling.groups()
    if value.axis != len(_before(node)) - 1 - int(dimensions):
        return "it pools over channels"
    padding: Any = getattr(module, "padding", argument(node, 3, "padding", 0))
    if kind == "max" or adaptive or padding == 0 or padding == (0,) * int(dimensions):
        return value
    # Zeros at the border may be counted: only the average of zeros is surely the same.
    return value.like(constants=torch.where(value.constants == 0, value.constants, torch.nan))


def reshaped(node: Node, value: Value) -> Value | str:
    """The same elements in the same order in other dimensions: sizes tell what happened."""
    before, after, axis = _before(node), list(shape(node) or ()), value.axis
    if after[: axis + 1] == before[: axis + 1]:
        return value
    if after[:axis] == before[:axis] and len(after) == axis + 1:
        behind = before[axis + 1 :]
        return value.like(
            channels=block(value.channels, behind), constants=block(value.constants, behind)
        )
    if axis == len(before) - 1 and after and after[-1] == before[-1]:
        return value.like(axis=len(after) - 1)
    return f"what a change of shape from {before} to {after} does to channels is not understood"


def stated_size(node: Node, value: Value) -> int | None:
    """How many channels, or features, the forward itself says that there are; none if any."""
    if node.op == "call_module" or str(getattr(node.target, "__name__", node.target)) not in (
        "view",
        "reshape",
    ):
        return None
    given: Any = node.args[1:] or tuple(node.kwargs.values())
    if len(given) == 1 and isinstance(given[0], list | tuple):
        given = given[0]
    result = reshaped(node, value)
    at = value.axis if isinstance(result, str) else result.axis
    size = given[at] if at < len(given) else None
    return size if isinstance(size, int) and size >= 0 else None


def _before(node: Node) -> list[int]:
    """Shape of a node's first input."""
    return list(shape(node.all_input_nodes[0]) or ())
