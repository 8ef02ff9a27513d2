"""What each operation of a network does to channels: the rules of :mod:`sw.compress.flow`."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg

from spec.errors import UserError
from sw.compress import flow_shapes
from sw.compress.constants import normalized, written
from sw.compress.flow_shapes import argument
from sw.compress.flow_values import NORMS, SHAPE, Flow, Place, Value, shape, sizes
from sw.compress.layers import WEIGHTED


def _names(text: str) -> frozenset[str]:
    """Names of modules, functions and methods alike, in lower case and without underscores."""
    return frozenset(text.split())


UNCHANGED = _names(
    "identity dropout dropout1d dropout2d dropout3d alphadropout featuredropout contiguous clone "
    "featurealphadropout detach to float double half"
)
ELEMENTWISE = _names(
    "relu relu6 leakyrelu elu selu celu gelu silu mish hardtanh hardswish hardsigmoid sigmoid tanh "
    "softplus softsign logsigmoid tanhshrink softshrink hardshrink threshold clamp clip abs neg "
    "square exp prelu"
)
BINARY = _names("add sub mul div truediv iadd isub imul itruediv maximum minimum")
RESHAPING = _names("flatten view reshape squeeze unsqueeze")
MIXING = _names(
    "softmax logsoftmax softmin softmax2d layernorm groupnorm localresponsenorm normalize argmax"
)
"""Needs all channels, in their order, and is understood as far as that."""


class Rules:
    """Visits the nodes of a graph in order, and writes what it learns into a :class:`Flow`."""

    def __init__(
        self,
        graph: GraphModule,
        flow: Flow,
        keep_unknown: bool,
        follow_inputs: bool,
        silent: dict[str, Tensor] | None,
    ):
        self.flow, self.silent = flow, silent
        self.keep_unknown, self.follow_inputs = keep_unknown, follow_inputs
        self.modules = dict(graph.named_modules())
        self.names = {id(module): name for name, module in reversed(self.modules.items())}
        self.values: dict[Node, Value | None] = {}

    def visit(self, node: Node) -> None:
        carried = [self.values[one] for one in node.all_input_nodes]
        value = None
        if node.op == "placeholder":
            value = self._input(node)
        elif node.op == "output":
            for one in carried:
                if one is not None:
                    self.flow.fix(one.channels, "is an output of the network")
        elif node.op == "call_module" and isinstance(self._module(node), (*WEIGHTED, *NORMS)):
            value = self._layer(node)
        elif any(carried) and SHAPE in node.meta:
            value = self._operation(node)
        self.values[node] = value

    def _module(self, node: Node) -> nn.Module:
        return self.modules[str(node.target)]

    def _input(self, node: Node) -> Value | None:
        size = shape(node)
        if not self.follow_inputs or size is None or len(size) < 2:
            return None
        channels = self.flow.inputs[str(node.target)] = self.flow.new(size[1])
        return Value(1, channels, torch.full((size[1],), torch.nan, dtype=torch.double))

    def _unknown(self, node: Node, why: str) -> None:
        """Refuse, or let the channels that come here stay as they are."""
        if not self.keep_unknown:
            raise UserError(f"node {node.name}: {why}; keep_unknown=True leaves the channels alone")
        for one in node.all_input_nodes:
            if (value := self.values[one]) is not None:
                self.flow.fix(value.channels, f"node {node.name}: {why}")

    def _operation(self, node: Node) -> Value | None:
        name, first = self._name(node), self.values[node.all_input_nodes[0]]
        if name in BINARY:
            return self._binary(node, name)
        if name in ("cat", "concat", "concatenate"):
            return self._cat(node)
        if name in MIXING and first is not None:
            return self.flow.fix(first.channels, f"goes into {name}, which needs all of them")
        size = shape(node)
        if first is not None and size is not None and len(node.all_input_nodes) == 1:
            if name in UNCHANGED:
                return first
            if name in ELEMENTWISE:
                return first.like(constants=self._computed(node, [first]))
            if name in ("permute", "transpose"):
                return flow_shapes.permuted(node, first)
            if name in ("mean", "amax"):
                return self._or_refuse(node, flow_shapes.reduced(node, first))
            if pooling := flow_shapes.POOLING.fullmatch(name):
                module = self._module(node) if node.op == "call_module" else None
                return self._or_refuse(node, flow_shapes.pooled(node, first, pooling, module))
        if first is not None and size is not None and self._keeps_elements(node, name):
            if (stated := flow_shapes.stated_size(node, first)) is not None:
                why = f"node {node.name} states that there are {stated} in a number"
                self.flow.counted.update(dict.fromkeys(first.channels.tolist(), why))
            return self._or_refuse(node, flow_shapes.reshaped(node, first))
        return self._unknown(node, f"what {name} does to channels is not understood")

    def _keeps_elements(self, node: Node, name: str) -> bool:
        """Whether an operation changes nothing but dimensions."""
        if name != "getitem":
            return name in RESHAPING
        index = node.args[1] if isinstance(node.args[1], tuple) else (node.args[1],)
        return all(part in (None, Ellipsis, slice(None)) for part in index)

    def _or_refuse(self, node: Node, result: Value | str) -> Value | None:
        return self._unknown(node, result) if isinstance(result, str) else result

    def _name(self, node: Node) -> str:
        """What a node does, in one word; a sign of doubt if that is not torch's own."""
        owner: Any = node.target
        if node.op == "call_module":
            owner = type(self._module(node))
        home = getattr(owner, "__module__", None) or "torch"
        name = owner if isinstance(owner, str) else getattr(owner, "__name__", str(owner))
        known = isinstance(owner, str) or home.startswith(("torch", "_operator"))
        return name.replace("_", "").lower() if known else f"{home}.{name}"

    def _layer(self, node: Node) -> Value | None:
        layer = self._module(node)
        name, value = self.names[id(layer)], self.values[node.all_input_nodes[0]]
        inputs, outputs, groups = sizes(layer)
        size, before = shape(node), shape(node.all_input_nodes[0])
        if size is None or before is None:
            return self._unknown(node, f"layer {name} gives no tensor")
        # Dimensions behind the channels: none for a Linear, the places for a convolution.
        behind = len(layer.weight.shape) - 2 if isinstance(layer, WEIGHTED) else len(before) - 2
        axis = len(before) - 1 - behind
        if value is not None and value.axis != axis:
            value = self._unknown(node, f"layer {name} reads along another dimension than channels")
        elif not isinstance(layer.weight, nn.Parameter | None):
            value = self._unknown(node, f"layer {name} computes its weight, make that final first")
        elif value is None and isinstance(layer, NORMS):
            return None
        if value is None:
            value = Value(axis, self.flow.new(inputs), torch.full((inputs,), torch.nan).double())
            self.flow.fix(value.channels, "is not written by a layer that can change")
        place = self._place(name, layer, value, outputs)
        if groups > 1 and isinstance(layer, WEIGHTED):
            for group in range(groups):
                members = torch.cat(
                    [place.reads.chunk(groups)[group], place.writes.chunk(groups)[group]]
                )
                self.flow.tie(members[:1].expand(len(members)), members)
        return Value(axis, place.writes, self._written(name, place, value.constants))

    def _place(self, name: str, layer: nn.Module, value: Value, outputs: int) -> Place:
        """The layer's; if it is called again, the same as before."""
        place = self.flow.places.get(name)
        if place is None:
            norm = isinstance(layer, NORMS)
            writes = value.channels if norm else self.flow.new(outputs)
            place = Place(layer, value.channels, writes, value.constants)
            self.flow.places[name] = place
            if not isinstance(layer.weight, nn.Parameter | None):
                self.flow.fix(writes, f"layer {name} computes its weight")
        else:
            self.flow.tie(place.reads, value.channels)
            same = place.constants == value.constants
            place.constants = torch.where(same, value.constants, torch.nan)
        return place

    def _written(self, name: str, place: Place, constants: Tensor) -> Tensor:
        if isinstance(place.layer, NORMS):
            if self.silent is None:
                return normalized(place.layer, constants)
            return torch.zeros_like(constants).where(~constants.isnan(), torch.nan)
        if self.silent is None:
            return written(place.layer, constants)
        none = torch.full((len(place.writes),), torch.nan, dtype=torch.double)
        return torch.where(self.silent[name], 0.0, none) if name in self.silent else none

    def _binary(self, node: Node, name: str) -> Value | None:
        values = [self.values[one] for one in node.all_input_nodes]
        known = [value for value in values if value is not None]
        others = [one for one in node.all_input_nodes if self.values[one] is None]
        dimensions = {len(shape(one) or ()) for one in node.all_input_nodes if self.values[one]}
        first, size = known[0], shape(node)
        unlike = any(v.axis != first.axis or len(v.channels) != len(first.channels) for v in known)
        if size is None or dimensions != {len(size)} or unlike:
            return self._unknown(node, f"{name} combines tensors whose channels do not lie alike")
        constants = torch.full_like(first.constants, torch.nan)
        for one in others:
            if (shape(one) or torch.Size()).numel() > 1:
                self.flow.fix(first.channels, f"node {node.name} combines them with no layer's")
        if not others:
            constants = self._computed(node, known)
        for value in known[1:]:
            self.flow.tie(first.channels, value.channels)
        if name in ("mul", "imul") and not others:
            zero = torch.stack([value.constants == 0 for value in known]).any(0)
            constants = torch.where(zero, 0.0, constants)
        return first.like(constants=constants)

    def _computed(self, node: Node, values: list[Value]) -> Tensor:
        """What the node makes of constants; not known where one of them is not."""
        unknown = torch.stack([value.constants.isnan() for value in values]).any(0)

        def constants(one: Node) -> Tensor:
            value = self.values[one]
            assert value is not None
            return value.constants.clone()

        args, kwargs = map_arg((node.args, node.kwargs), constants)
        if node.op == "call_module":
            module = self._module(node)
            if isinstance(module, nn.PReLU):
                if module.num_parameters > 1:
                    self._unknown(node, "a PReLU with a slope for each channel is not understood")
                return torch.full_like(unknown, torch.nan, dtype=torch.double)
            result = module(*args)
        elif node.op == "call_method":
            result = getattr(args[0], str(node.target))(*args[1:], **kwargs)
        else:
            target: Any = node.target
            result = target(*args, **kwargs)
        return torch.where(unknown, torch.nan, result)

    def _cat(self, node: Node) -> Value | None:
        size, dimension = shape(node), argument(node, 1, "dim", 0)
        parts: Any = node.args[0] if node.args else node.kwargs.get("tensors")
        if size is None or not isinstance(dimension, int) or not isinstance(parts, list | tuple):
            return self._unknown(node, "what it concatenates is not understood")
        axis = dimension % len(size)
        values = []
        for part in parts:
            value = self.values[part]
            if value is None:
                count = (shape(part) or size)[axis]
                value = Value(axis, self.flow.new(count), torch.full((count,), torch.nan).double())
                self.flow.fix(value.channels, "is not written by a layer")
            if value.axis != axis:
                return self._unknown(node, "it concatenates along another dimension than channels")
            values.append(value)
        return Value(
            axis,
            torch.cat([value.channels for value in values]),
            torch.cat([value.constants for value in values]),
        )
