"""From an exported graph to layers: a walk along the one chain from input to output."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from torch.export import ExportedProgram
from torch.fx import Node

from spec.errors import UserError
from spec.nm.unfold import Unfold
from sw.compile.fold import Affine, fold_behind, fold_in_front
from sw.compile.network import FloatLayer, FloatLstm, check_chain
from sw.compile.nodes import BESIDE_THE_DATA, Parameters, path_of, place_of, shape_of
from sw.compile.refusals import advice
from sw.compile.windows import convolution, pooling

LINEAR = "Linear, ReLU, Flatten (or a view that flattens), Dropout, BatchNorm and Identity"
SUPPORTED = f"Conv2d, MaxPool2d behind one, {LINEAR}"

OF_IMAGES = ("aten.conv2d.default", "aten.conv2d.padding", "aten.max_pool2d.default")
"""Operations that need images, which networks of sequences have not."""


def layers_of(program: ExportedProgram) -> tuple[FloatLayer | FloatLstm, ...]:
    """Layers of an exported program without recurrent ones.

    Raises
    ------
    UserError
        If the graph is not one chain of supported operations; names the module and the operation.
    """
    return Walk(program).layers()


class Walk:
    """Follows the data from the input, node by node, and collects layers."""

    supported = SUPPORTED
    beside = BESIDE_THE_DATA
    dimensions = (2, 4)
    """Of what a BatchNorm may be on."""

    def __init__(self, program: ExportedProgram) -> None:
        self.program = program
        self.parameters = Parameters(program)
        self.found: list[FloatLayer | FloatLstm] = []
        self.waiting: Affine | None = None
        """BatchNorms that no layer in front could absorb; the next one must."""

    def layers(self) -> tuple[FloatLayer | FloatLstm, ...]:
        node = self.start()
        while (following := self.only_user(node)).op != "output":
            handler = self.handlers().get(str(following.target))
            if handler is None:
                raise self.unsupported(following)
            handler(following)
            node = following
        self.refuse_waiting("the output")
        if not self.found:
            raise UserError("the network has no layer with weights")
        return check_chain(self.found)

    def handlers(self) -> dict[str, Callable[[Node], None]]:
        """What to do, by the name of the operation."""
        return {
            "aten.linear.default": self.linear,
            "aten.conv2d.default": self.conv2d,
            "aten.conv2d.padding": self.conv2d,
            "aten.max_pool2d.default": self.max_pool,
            "aten.relu.default": self.relu,
            "aten.relu_.default": self.relu,
            "aten.flatten.using_ints": self.flatten,
            "aten.view.default": self.flatten,
            "aten.reshape.default": self.flatten,
            "aten.unflatten.int": self.flatten,
            "aten.dropout.default": self.dropout,
            "aten.dropout_.default": self.dropout,
            "aten.feature_dropout.default": self.dropout,
            "aten.feature_dropout_.default": self.dropout,
            "aten.batch_norm.default": self.batch_norm,
        }

    def start(self) -> Node:
        """The node of the network's one input."""
        names = self.program.graph_signature.user_inputs
        nodes = [node for node in self.program.graph.nodes if node.op == "placeholder"]
        inputs = [node for node in nodes if node.name in names]
        if len(names) != 1 or len(inputs) != 1:
            raise UserError(f"the network takes {len(names)} inputs, it must take one tensor")
        return inputs[0]

    def only_user(self, node: Node) -> Node:
        users = [user for user in node.users if not str(user.target).startswith(self.beside)]
        if len(users) != 1:
            places = ", ".join(f"{place_of(user)} ({user.target})" for user in users) or "nothing"
            raise UserError(
                f"{place_of(node)}: its result goes to {len(users)} places ({places}); "
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
        self.check_dimensions(node)
        name = self.unused_name(node)
        weight = self.parameters.numbers(node, 1, name + ".weight")
        bias = self.parameters.numbers(node, 2, name + ".bias", np.zeros(len(weight)))
        weight, bias, folded = self.fold(name, weight, bias)
        layer = FloatLayer(name=name, weight=weight, bias=bias, relu=False, folded=folded)
        self.found.append(layer)

    def conv2d(self, node: Node) -> None:
        name = self.unused_name(node, "conv2d")
        weight = self.parameters.numbers(node, 1, name + ".weight")
        bias = self.parameters.numbers(node, 2, name + ".bias", np.zeros(len(weight)))
        windows, matrix = convolution(node, weight)
        matrix, bias, folded = self.fold(name, matrix, bias, windows)
        layer = FloatLayer(
            name=name, weight=matrix, bias=bias, relu=False, folded=folded, windows=windows
        )
        self.found.append(layer)

    def max_pool(self, node: Node) -> None:
        # What does not change the order of values may as well come behind the pooling.
        if self.waiting and (self.waiting.factor < 0).any():
            self.refuse_waiting(f"{place_of(node)} ({node.target})")
        last = self.found[-1] if self.found else None
        layer = last if isinstance(last, FloatLayer) else None
        pool = pooling(node, layer)
        self.found[-1] = replace(self.found[-1], pool=pool)  # pyright: ignore[reportCallIssue]

    def check_dimensions(self, node: Node) -> None:
        """Refuse a Linear on other than (samples, inputs)."""
        if len(shape_of(node.args[0])) != 2:
            raise UserError(
                f"{place_of(node)}: a Linear along the last of {len(shape_of(node.args[0]))} "
                "dimensions is not supported; flatten its input to (samples, inputs)"
            )

    def fold(
        self, name: str, weight: np.ndarray, bias: np.ndarray, windows: Unfold | None = None
    ) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
        """Weight and bias with the waiting BatchNorms in them, and their names."""
        waiting, self.waiting = self.waiting, None
        return fold_in_front(name, waiting, weight, bias, windows)

    def relu(self, node: Node) -> None:
        self.refuse_waiting(f"{place_of(node)} ({node.target})")
        if not self.found:
            raise UserError(
                f"{place_of(node)}: a ReLU in front of the first layer is not supported"
            )
        layer = self.found[-1]
        if isinstance(layer, FloatLstm):
            raise UserError(
                f"{place_of(node)}: a ReLU right behind an LSTM is not supported; "
                "a Linear must stand between"
            )
        self.found[-1] = replace(layer, relu=True)

    def flatten(self, node: Node) -> None:
        before, after = shape_of(node.args[0]), shape_of(node)
        # Sizes may be symbols, and comparing symbols would constrain them: compare their names.
        if [str(size) for size in before[:1]] != [str(size) for size in after[:1]]:
            raise UserError(
                f"{place_of(node)}: {node.target} from {before} to {after} mixes samples; "
                "only flattening within each sample is supported"
            )

    def dropout(self, node: Node) -> None:
        self.refuse_training(node, bool(node.args[2]))

    def batch_norm(self, node: Node) -> None:
        self.refuse_training(node, bool(node.args[5]) or node.args[3] is None)
        name = path_of(node) or "batch_norm"
        if len(shape_of(node.args[0])) not in self.dimensions:
            raise UserError(
                f"{place_of(node)}: only BatchNorm1d on (samples, features) and BatchNorm2d on "
                "(samples, channels, height, width) are supported"
            )
        gamma, beta, mean, variance = (
            self.parameters.numbers(node, at, f"{name}.{part}", np.float64(part == "weight"))
            for at, part in enumerate(("weight", "bias", "running_mean", "running_var"), start=1)
        )
        eps: Any = node.args[7]
        factor = gamma / np.sqrt(variance + float(eps))
        affine = Affine(name, factor, beta - mean * factor)
        last = self.found[-1] if self.found else None
        if self.waiting:
            self.waiting = self.waiting.then(affine)
        elif isinstance(last, FloatLayer) and (folded := fold_behind(last, affine)):
            self.found[-1] = folded
        else:
            self.waiting = affine

    # Refusals and look-ups ------------------------------------------------------------------------

    def unsupported(self, node: Node) -> UserError:
        instead = advice(node) or f"the compiler takes {self.supported}"
        return UserError(f"{place_of(node)}: {node.target} is not supported; {instead}")

    def refuse_waiting(self, reached: str) -> None:
        if self.waiting:
            raise UserError(
                f"layer {self.waiting.name}: a BatchNorm folds into the layer right in front of "
                f"it, or into the next one if no ReLU stands between; here {reached} follows"
            )

    def refuse_training(self, node: Node, training: bool) -> None:
        if training:
            raise UserError(
                f"{place_of(node)}: {node.target} was exported in training mode; "
                "call eval() on the network before torch.export"
            )

    def unused_name(self, node: Node, default: str = "linear", suffix: str = "") -> str:
        """The module's path, or for a functional ``linear`` its parameter; numbered if taken."""
        name = path_of(node)
        if not name and isinstance(weight := node.args[1], Node):
            target = self.parameters.targets.get(weight.name, "")
            name = target.removesuffix("weight").strip(".")
        name = name or default
        taken = {layer.name for layer in self.found}
        again = (f"{name}#{count}{suffix}" for count in range(2, len(taken) + 3))
        first = name + suffix
        return first if first not in taken else next(other for other in again if other not in taken)
