"""Which outputs of a layer are read where: the flow of channels through a network.

torch.fx gives the network's graph, and the example input its shapes. What stands between layers
(ReLU, BatchNorm, pooling, Flatten, ...) hands channels on; what each operation does to them is
stated in :mod:`sw.compress.flow_rules`, and what is then known in :mod:`sw.compress.flow_values`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.fx import GraphModule, Interpreter, Node, symbolic_trace
from torch.utils._pytree import tree_leaves

from spec.errors import UserError
from sw.compress.flow_rules import Rules
from sw.compress.flow_values import SHAPE
from sw.compress.flow_values import Flow as Flow
from sw.compress.layers import WEIGHTED

Example = Tensor | Sequence[Tensor]

SIDES = (28, 32, 224, 64, 16, 8, 4, 1, 96, 48, 128, 12, 20, 24, 27, 30, 36, 40, 56, 299)
"""Heights and widths that are tried where no example input is given."""


def follow(
    model: nn.Module,
    example: Example | None = None,
    *,
    keep_unknown: bool = False,
    follow_inputs: bool = False,
    silent: dict[str, Tensor] | None = None,
) -> Flow:
    """Follow the channels of a network, as it computes in evaluation mode. It is not changed.

    Parameters
    ----------
    example : Tensor or sequence of them, optional
        An input. If left out, sizes are tried until the network runs.
    keep_unknown : bool
        Channels that reach an operation that is not understood stay as they are. Default is to
        refuse the network.
    follow_inputs : bool
        Whether the network's inputs may change places, along dimension 1.
    silent : dict of layer name to bool tensor, optional
        Outputs that are to count as zero, instead of those that are constant.

    Raises
    ------
    UserError
        If torch.fx cannot trace the network, it does not run on the example, or an operation is not
        understood.
    """
    with _evaluating(model):
        graph = _trace(model)
        inputs = _sample(model, graph) if example is None else _listed(example)
        if error := _failure(lambda: _Shapes(graph).run(*inputs)):
            raise UserError(f"the network does not run on the example input: {_line(error)}")
    flow = Flow(inputs)
    rules = Rules(graph, flow, keep_unknown, follow_inputs, silent)
    for node in graph.graph.nodes:
        rules.visit(node)
    return flow


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for a while, so that running the network changes no statistics."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


def _trace(model: nn.Module) -> GraphModule:
    try:
        return symbolic_trace(model)
    except Exception as error:  # whatever a forward does with what is no tensor
        raise UserError(
            f"torch.fx cannot follow the network's forward: {_line(error)}; fold() and search() "
            "of sw.compress.permutation work on single layers"
        ) from error


def _listed(example: Example) -> list[Tensor]:
    return [example] if isinstance(example, Tensor) else list(example)


def _sample(model: nn.Module, graph: GraphModule) -> list[Tensor]:
    """An input that the network runs on; sizes are tried without computing anything."""
    # The graph holds no layer that the forward does not use.
    numbers = [*graph.named_parameters(), *graph.named_buffers()]
    nowhere = {name: values.detach().to("meta") for name, values in numbers}
    for shape in _shapes(model):
        weight = next(model.parameters())
        tried = torch.empty(shape, dtype=weight.dtype, device="meta")
        if _failure(lambda given=tried: functional_call(graph, nowhere, given)) is None:
            return [torch.zeros(shape, dtype=weight.dtype, device=weight.device)]
    raise UserError("no size of input was found that the network runs on; give an example input")


def _failure(call: Callable[[], Any]) -> Exception | None:
    try:
        call()
    except Exception as error:  # whatever a network does with inputs that do not fit
        return error
    return None


class _Shapes(Interpreter):
    """Runs a graph, and notes the shape of every tensor at the node that computed it."""

    extra_traceback = False

    def run_node(self, n: Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            n.meta[SHAPE] = result.shape
        elif any(isinstance(leaf, Tensor) for leaf in tree_leaves(result)):
            n.meta[SHAPE] = None  # several tensors
        return result


def _shapes(model: nn.Module) -> Iterator[tuple[int, ...]]:
    """Shapes that the network's input may have, by its first layer."""
    first = next((layer for layer in model.modules() if isinstance(layer, WEIGHTED)), None)
    if isinstance(first, nn.Linear):
        yield (2, first.in_features)
    elif first is not None:
        dimensions = len(first.kernel_size)
        sides = dict.fromkeys([*SIDES, *range(1, 65)])
        yield from ((2, first.in_channels, *[side] * dimensions) for side in sides)


def _line(error: Exception) -> str:
    """The last cause that says something, in one line."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return next(iter(str(cause).strip().splitlines()), type(cause).__name__)
