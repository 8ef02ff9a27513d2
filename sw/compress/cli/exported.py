"""Exported programs (``.pt2``): as a network that can be pruned and trained, and back."""

import io
import logging
import operator
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.fx.graph import CodeGen

from spec.errors import UserError
from spec.files import read_file, write_file

ATEN = torch.ops.aten

LAYERS: dict[Any, type[nn.Module]] = {
    ATEN.linear.default: nn.Linear,
    ATEN.conv1d.default: nn.Conv1d,
    ATEN.conv2d.default: nn.Conv2d,
    ATEN.conv3d.default: nn.Conv3d,
    ATEN.conv1d.padding: nn.Conv1d,
    ATEN.conv2d.padding: nn.Conv2d,
    ATEN.conv3d.padding: nn.Conv3d,
}
"""Operations that are layers with a weight."""

STRIDE, GROUPS = 3, 6
"""Positions of a convolution's arguments: behind input, weight and bias; and the last one."""


def read(path: Path) -> ExportedProgram:
    """A program that ``torch.export.save`` has written."""
    data = read_file(path)
    with quiet():
        try:
            return torch.export.load(io.BytesIO(data))
        except Exception as error:  # torch raises whatever the damaged part happened to cause
            raise UserError(
                f"{path}: torch.export cannot load it: no program of torch.export.save, a damaged "
                "one, or one of another version of torch"
            ) from error


def network(program: ExportedProgram) -> nn.Module:
    """The program as a network with Linear layers and convolutions in it, under their names."""
    with quiet():
        flat: Any = program.module(check_guards=False)
    for node in list(flat.graph.nodes):
        if node.op == "call_function" and node.target in LAYERS:
            _replace(flat, node)
    flat.graph.eliminate_dead_code()
    # Inputs and outputs as they come, instead of as trees of any form.
    flat.graph.set_codegen(CodeGen())
    (last,) = flat.graph.find_nodes(op="output")
    if len(last.args[0]) == 1:
        last.args = (last.args[0][0],)
    return fx.GraphModule(flat, flat.graph)


def input_shape(program: ExportedProgram) -> tuple[int, ...]:
    """Of one sample that the program takes."""
    inputs = [n for n in program.graph.nodes if n.name in program.graph_signature.user_inputs]
    if len(inputs) != 1:
        raise UserError(f"the exported program takes {len(inputs)} inputs, pictures are one")
    return tuple(inputs[0].meta["val"].shape[1:])


def write_same(program: ExportedProgram, model: nn.Module, path: Path) -> Path:
    """Write the program with another network's parameters, which it gets in place."""
    own = program.state_dict
    for name, value in model.state_dict().items():
        if name not in own or own[name].shape != value.shape:
            raise UserError(
                f"{path}: {name} has the shape {tuple(value.shape)} now, and an exported program "
                "keeps its shapes; write a .pt, or give package.module:function for the network"
            )
    with torch.no_grad():
        for name, value in model.state_dict().items():
            own[name].copy_(value)
    return _write(program, path)


def write_new(model: nn.Module, example: Tensor, path: Path) -> Path:
    """Export a network for any number of samples. The example's values are not kept."""
    # The program holds its example; of a part of a data set the file would get all of it.
    example = torch.zeros_like(example, memory_format=torch.contiguous_format)
    batch = torch.export.Dim.AUTO  # type: ignore[attr-defined]
    with quiet():
        try:
            program = torch.export.export(
                model.eval(), (example,), dynamic_shapes=({0: batch},), strict=False
            )
        except Exception as error:  # whatever the network's own code raises, too
            why = f"{type(error).__name__}: {error}".splitlines()[0]
            raise UserError(f"{path}: torch.export cannot trace the network: {why}") from error
    return _write(program, path)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep torch's own warnings off the terminal; what matters is raised."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _write(program: ExportedProgram, path: Path) -> Path:
    buffer = io.BytesIO()
    with quiet():
        torch.export.save(program, buffer)
    return write_file(path, buffer.getvalue())


def _replace(flat: fx.GraphModule, node: fx.Node) -> None:
    """Put a layer in the place of an operation, if its weight is a parameter of that layer."""
    parameters = [argument for argument in node.args[1:3] if isinstance(argument, fx.Node)]
    names = [str(one.target) for one in parameters]
    holder = names[0].removesuffix(".weight")
    known = [holder + ending for ending in (".weight", ".bias")]
    if any(one.op != "get_attr" for one in parameters) or names != known[: len(names)]:
        return
    layer = flat.get_submodule(holder)
    kind: Any = node.target
    if type(layer) is not LAYERS[kind]:
        layer = _layer(node, *(operator.attrgetter(name)(flat) for name in names))
        flat.set_submodule(holder, layer)
    with flat.graph.inserting_before(node):
        call = flat.graph.call_module(holder, (node.args[0],))
    call.meta = node.meta
    node.replace_all_uses_with(call)
    flat.graph.erase_node(node)


def _layer(node: Any, weight: nn.Parameter, bias: nn.Parameter | None = None) -> nn.Module:
    outputs, inputs = weight.shape[:2]
    kind: Any = LAYERS[node.target]
    if kind is nn.Linear:
        layer = nn.Linear(inputs, outputs, bias is not None, device="meta")
    else:
        given = dict(zip(("stride", "padding", "dilation"), node.args[STRIDE:GROUPS], strict=False))
        groups = node.args[GROUPS] if len(node.args) > GROUPS else 1
        layer = kind(
            inputs * groups,
            outputs,
            tuple(weight.shape[2:]),
            groups=groups,
            bias=bias is not None,
            device="meta",
            **{key: one if isinstance(one, str) else tuple(one) for key, one in given.items()},
        )
    layer.weight = weight
    if bias is not None:
        layer.bias = bias
    return layer
