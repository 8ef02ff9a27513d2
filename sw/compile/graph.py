"""From an exported graph to layers: a walk along the one chain from input to output."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch.export import ExportedProgram
from torch.fx import Node
from torch.fx.node import map_arg

from spec.errors import UserError
from sw.compile.network import FloatLayer, check_chain, tensor_values

SUPPORTED = "Linear, ReLU, Flatten (or a view that flattens), Dropout, BatchNorm1d and Identity"

_BESIDE_THE_DATA = ("aten.sym_size", "aten._assert")
"""Operations that look at an activation without changing it."""

Affine = tuple[str, np.ndarray, np.ndarray]
"""A BatchNorm as name, factor and offset."""


def layers_of(program: ExportedProgram) -> tuple[FloatLayer, ...]:
    """Layers of an exported program.

    Raises
    ------
    UserError
        If the graph is not one chain of supported operations; names the module and the operation.
    """
    return _Walk(program).layers()


class _Walk:
    """Follows the data from the input, node by node, and collects layers."""

    def __init__(self, program: ExportedProgram) -> None:
        self.program = program
        self.found: list[FloatLayer] = []
        self.waiting: Affine | None = None
        """A BatchNorm that no layer in front could absorb; the next one must."""

    def layers(self) -> tuple[FloatLayer, ...]:
        node = self._input()
        while (following := self._only_user(node)).op != "output":
            handler = _HANDLERS.get(str(following.target))
            if handler is None:
                raise UserError(
                    f"{_place(following)}: {following.target} is not supported; "
                    f"the compiler takes {SUPPORTED}"
                )
            handler(self, following)
            node = following
        self._refuse_waiting("the output")
        if not self.found:
            raise UserError("the network has no Linear layer")
        return check_chain(self.found)

    def _input(self) -> Node:
        names = self.program.graph_signature.user_inputs
        nodes = [node for node in self.program.graph.nodes if node.op == "placeholder"]
        inputs = [node for node in nodes if node.name in names]
        if len(names) != 1 or len(inputs) != 1:
            raise UserError(f"the network takes {len(names)} inputs, it must take one tensor")
        return inputs[0]

    def _only_user(self, node: Node) -> Node:
        users = [user for user in node.users if not str(user.target).startswith(_BESIDE_THE_DATA)]
        if len(users) != 1:
            places = ", ".join(f"{_place(user)} ({user.target})" for user in users) or "nothing"
            raise UserError(
                f"{_place(node)}: its result goes to {len(users)} places ({places}); "
                "the compiler takes a chain of layers, without branches"
            )
        user = users[0]
        outputs = user.args[0] if user.op == "output" else ()
        if isinstance(outputs, tuple | list) and len(outputs) > 1:
            raise UserError(f"the network returns {len(outputs)} results, it must return one")
        returned = self.program.call_spec.out_spec
        if user.op == "output" and returned and not returned.is_leaf():
            raise UserError(
                f"the network returns a {returned.type.__name__}, it must return one tensor"
            )
        return user

    # One method per operation ---------------------------------------------------------------------

    def linear(self, node: Node) -> None:
        if len(_shape(node.args[0])) != 2:
            raise UserError(
                f"{_place(node)}: a Linear along the last of {len(_shape(node.args[0]))} "
                "dimensions is not supported; flatten its input to (samples, inputs)"
            )
        name = self._unused_name(node)
        weight = self._numbers(node, 1, name + ".weight")
        bias = self._numbers(node, 2, name + ".bias", np.zeros(len(weight)))
        folded: tuple[str, ...] = ()
        if self.waiting:
            batch_norm, factor, offset = self.waiting
            bias, weight = bias + weight @ offset, weight * factor
            folded, self.waiting = (batch_norm,), None
        layer = FloatLayer(name=name, weight=weight, bias=bias, relu=False, folded=folded)
        self.found.append(layer)

    def relu(self, node: Node) -> None:
        self._refuse_waiting(f"{_place(node)} ({node.target})")
        if not self.found:
            raise UserError(f"{_place(node)}: a ReLU in front of the first Linear is not supported")
        self.found[-1] = replace(self.found[-1], relu=True)

    def flatten(self, node: Node) -> None:
        before, after = _shape(node.args[0]), _shape(node)
        # Sizes may be symbols, and comparing symbols would constrain them: compare their names.
        if [str(size) for size in before[:1]] != [str(size) for size in after[:1]]:
            raise UserError(
                f"{_place(node)}: {node.target} from {before} to {after} mixes samples; "
                "only flattening within each sample is supported"
            )

    def dropout(self, node: Node) -> None:
        self._refuse_training(node, bool(node.args[2]))

    def batch_norm(self, node: Node) -> None:
        self._refuse_training(node, bool(node.args[5]) or node.args[3] is None)
        name = _path(node) or "batch_norm"
        if len(_shape(node.args[0])) != 2:
            raise UserError(f"{_place(node)}: only BatchNorm1d on (samples, features) is supported")
        gamma, beta, mean, variance = (
            self._numbers(node, at, f"{name}.{part}", np.float64(part == "weight"))
            for at, part in enumerate(("weight", "bias", "running_mean", "running_var"), start=1)
        )
        eps: Any = node.args[7]
        factor = gamma / np.sqrt(variance + float(eps))
        offset = beta - mean * factor
        if self.waiting:
            first, factor_before, offset_before = self.waiting
            offset = offset + offset_before * factor
            self.waiting = (f"{first}, {name}", factor_before * factor, offset)
        elif self.found and not self.found[-1].relu:
            layer = self.found[-1]
            self.found[-1] = replace(
                layer,
                weight=layer.weight * factor[:, None],
                bias=layer.bias * factor + offset,
                folded=(*layer.folded, name),
            )
        else:
            self.waiting = (name, factor, offset)

    # Refusals and look-ups ------------------------------------------------------------------------

    def _refuse_waiting(self, reached: str) -> None:
        if self.waiting:
            raise UserError(
                f"layer {self.waiting[0]}: a BatchNorm folds into the Linear right in front of it, "
                f"or into the next one if no ReLU stands between; here {reached} follows"
            )

    def _refuse_training(self, node: Node, training: bool) -> None:
        if training:
            raise UserError(
                f"{_place(node)}: {node.target} was exported in training mode; "
                "call eval() on the network before torch.export"
            )

    def _unused_name(self, node: Node) -> str:
        """The module's path, or for a functional ``linear`` its parameter; numbered if taken."""
        name = _path(node)
        if not name and isinstance(weight := node.args[1], Node):
            name = str(self._targets().get(weight.name, "")).removesuffix("weight").strip(".")
        name = name or "linear"
        taken = {layer.name for layer in self.found}
        again = (f"{name}#{count}" for count in range(2, len(taken) + 3))
        return name if name not in taken else next(other for other in again if other not in taken)

    def _targets(self) -> dict[str, str]:
        """Names of parameters, buffers and constants, by the name of their node."""
        signature = self.program.graph_signature
        return {
            **signature.inputs_to_parameters,
            **signature.inputs_to_buffers,
            **signature.inputs_to_lifted_tensor_constants,
        }

    def _numbers(self, node: Node, at: int, name: str, default: Any = None) -> np.ndarray:
        """Argument ``at`` as float64, or the default if it is absent."""
        argument = node.args[at] if at < len(node.args) else None
        if argument is None:
            return default
        with torch.no_grad():
            return tensor_values(self._constant(argument, name), name)

    def _constant(self, argument: Any, name: str) -> Any:
        """Evaluate what depends on parameters only, such as a weight times its pruning mask."""
        if not isinstance(argument, Node):
            return argument
        if argument.op == "placeholder":
            target = self._targets().get(argument.name)
            if target is None:
                raise UserError(f"{name}: depends on the network's input; it must be a parameter")
            stored = self.program.state_dict.get(target)
            return self.program.constants[target] if stored is None else stored
        args, kwargs = map_arg(
            (argument.args, argument.kwargs), lambda part: self._constant(part, name)
        )
        operation: Any = argument.target
        return operation(*args, **kwargs)


_HANDLERS: dict[str, Callable[[_Walk, Node], None]] = {
    "aten.linear.default": _Walk.linear,
    "aten.relu.default": _Walk.relu,
    "aten.relu_.default": _Walk.relu,
    "aten.flatten.using_ints": _Walk.flatten,
    "aten.view.default": _Walk.flatten,
    "aten.reshape.default": _Walk.flatten,
    "aten.dropout.default": _Walk.dropout,
    "aten.dropout_.default": _Walk.dropout,
    "aten.batch_norm.default": _Walk.batch_norm,
}


def _path(node: Node) -> str:
    """Path of the innermost module that the operation came from; empty for the network itself."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    return stack[-1][0] if stack else ""


def _place(node: Node) -> str:
    """What error messages call a node."""
    if node.op == "placeholder":
        return f"input {node.name}"
    return f"layer {_path(node)}" if _path(node) else "the network's forward"


def _shape(node) -> tuple:
    return tuple(node.meta["val"].shape)
