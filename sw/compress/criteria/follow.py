"""What comes after a layer in a network, found by tracing it."""

from collections.abc import Callable

import torch
from torch import fx, nn
from torch.nn import functional as F

from spec.errors import UserError

NORMALIZATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

# What an output passes one by one, its zeros staying zeros.
PASSING = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)

RECTIFIERS = (nn.ReLU, nn.ReLU6)
RECTIFYING = {F.relu, F.relu_, F.relu6, torch.relu, torch.relu_, "relu", "relu_"}

Test = Callable[[fx.Node], bool]


def trace(model: nn.Module, criterion: str) -> fx.GraphModule:
    """The network as a graph.

    Raises
    ------
    UserError
        If its ``forward`` depends on values, so that there is no one graph.
    """
    try:
        return fx.symbolic_trace(model)
    except Exception as error:
        # Whatever the user's own code raises when it is given proxies.
        reason = str(error).strip().partition("\n")[0]
        raise UserError(
            f"the criterion {criterion} must know which layer follows which, but the network "
            f"cannot be traced: {reason or type(error).__name__}"
        ) from None


def module_of(graph: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    """The module that a node calls, if it calls one."""
    return graph.get_submodule(str(node.target)) if node.op == "call_module" else None


def is_one_of(graph: fx.GraphModule, modules: tuple[type, ...], functions: set) -> Test:
    """Whether a node is one of these modules, functions or methods."""

    def test(node: fx.Node) -> bool:
        if node.op == "call_module":
            return isinstance(module_of(graph, node), modules)
        return node.op in ("call_function", "call_method") and node.target in functions

    return test


def after(graph: fx.GraphModule, layer: str, wanted: Test, through: Test) -> fx.Node | None:
    """The first wanted node behind a layer, with nothing between but what may be passed.

    Returns
    -------
    None if there is none, or the outputs also go elsewhere before it, or the layer is called more
    or less than once.
    """
    calls = [one for one in graph.graph.nodes if one.op == "call_module" and one.target == layer]
    if len(calls) != 1:
        return None
    node = calls[0]
    while len(node.users) == 1:
        node = next(iter(node.users))
        if wanted(node):
            return node
        if not through(node):
            break
    return None
