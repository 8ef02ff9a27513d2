"""Nodes of an exported graph: where they came from, their shapes, the parameters behind them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram
from torch.fx import Node
from torch.fx.node import map_arg

from spec.errors import UserError
from sw.compile.tensors import tensor_values

BESIDE_THE_DATA = ("aten.sym_size", "aten._assert")
"""Operations that look at an activation without changing it."""

ZEROS = ("aten.zeros", "aten.new_zeros")
"""Operations that give zeros, though they may look at an activation's size."""

_STILL_ZEROS = (
    "aten.expand",
    "aten.repeat",
    "aten.view",
    "aten.unsqueeze",
    "aten.contiguous",
    "aten.to",
)
"""What leaves zeros zeros."""


class Parameters:
    """Numbers of an exported program that do not depend on its input.

    Attributes
    ----------
    targets : dict
        Names of parameters, buffers and constants, by the name of their node.
    """

    def __init__(self, program: ExportedProgram) -> None:
        self.program = program
        signature = program.graph_signature
        self.targets: dict[str, str] = {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }

    def numbers(self, node: Node, at: int, name: str, default: Any = None) -> np.ndarray:
        """Argument ``at`` of a node as float64, or the default if it is absent."""
        argument = node.args[at] if at < len(node.args) else None
        return default if argument is None else self.values(argument, name)

    def values(self, argument: Any, name: str) -> np.ndarray:
        """A tensor as float64; errors call it ``name``."""
        with torch.no_grad():
            return tensor_values(self.constant(argument, name), name)

    def constant(self, argument: Any, name: str) -> Any:
        """Evaluate what depends on parameters only, such as a weight times its pruning mask."""
        if not isinstance(argument, Node):
            return argument
        if argument.op == "placeholder":
            target = self.targets.get(argument.name)
            if target is None:
                raise UserError(f"{name}: depends on the network's input; it must be a parameter")
            stored = self.program.state_dict.get(target)
            return self.program.constants[target] if stored is None else stored
        args, kwargs = map_arg(
            (argument.args, argument.kwargs), lambda part: self.constant(part, name)
        )
        operation: Any = argument.target
        return operation(*args, **kwargs)

    def lstm(self, arguments: Sequence[Any], name: str) -> tuple[np.ndarray, ...]:
        """Two weights and the sum of two biases, if there are any, of an LSTM called ``name``."""
        parts = zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), arguments, strict=False)
        weight_ih, weight_hh, *biases = (
            self.values(argument, f"{name}.{part}")
            for part, argument in parts
            if argument is not None
        )
        return weight_ih, weight_hh, sum(biases, np.zeros(len(weight_ih)))

    def is_zero(self, node: Any) -> bool:
        """Whether a tensor is surely all zeros, of whatever size."""
        if str(node.target).startswith(ZEROS):
            return True
        if str(node.target).startswith(_STILL_ZEROS):
            return self.is_zero(node.args[0])
        try:
            return not self.values(node, "").any()
        except UserError:  # it depends on the input
            return False


def path_of(node: Node) -> str:
    """Path of the innermost module that the operation came from; empty for the network itself."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return stack[-1][0] if stack else ""


def place_of(node: Node) -> str:
    """What error messages call a node."""
    if node.op == "placeholder":
        return f"input {node.name}"
    return f"layer {path_of(node)}" if path_of(node) else "the network's forward"


def shape_of(node: Any) -> tuple:
    """Sizes, some of which may be symbols."""
    return tuple(node.meta["val"].shape)
