"""Loops over an ``nn.LSTMCell``: torch.export unrolls them step by step; here they are rolled up.

A cell by itself has no loop at all: it is run over the steps of a sequence.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.fx import Node

from spec.errors import UserError
from sw.compile.network import FloatLstm, Network, check_chain
from sw.compile.nodes import BESIDE_THE_DATA, ZEROS, place_of, shape_of
from sw.compile.tensors import tensor_values

LSTM_CELL = "aten.lstm_cell.default"
GETITEM = "<built-in function getitem>"

_NOWHERE = 1 << 62
"""A slice that ends nowhere ends beyond here."""


def cell_network(cell: nn.LSTMCell) -> Network:
    """An ``nn.LSTMCell`` by itself, run over every step of (samples, steps, inputs)."""
    names = ["weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if cell.bias else ())]
    weight_ih, weight_hh, *biases = (tensor_values(getattr(cell, name), name) for name in names)
    bias = sum(biases, np.zeros(len(weight_ih)))
    layer = FloatLstm(
        name="lstm", weight_ih=weight_ih, weight_hh=weight_hh, bias=bias, returns="sequence"
    )

    def run(batch: np.ndarray) -> np.ndarray:
        outputs, states = [], None
        with torch.no_grad():
            for acts in torch.from_numpy(batch).to(cell.weight_ih.dtype).unbind(1):
                states = cell(acts, states)
                outputs.append(states[0])
            return torch.stack(outputs, dim=1).to(torch.float64).numpy()

    note = "lstm: an LSTMCell by itself is run over the steps of each sequence; every h goes on"
    return Network(layers=check_chain([layer]), run=run, notes=(note,))


def roll_up(x: Node, cells: Sequence[Node]) -> tuple[Node, bool]:
    """Recognize the one loop over the steps of a sequence that all cells of a graph belong to.

    Parameters
    ----------
    x : Node
        The network's input, of at least three dimensions.
    cells : sequence of Node
        All cells, in the graph's order.

    Returns
    -------
    node : Node
        The last cell if only its state h goes on, or the ``stack`` of all h.
    batch_first : bool
        Whether the steps are along dimension 1 rather than 0.

    Raises
    ------
    UserError
        If it is another loop, or none.
    """
    seen: set[Any] = {x}
    dimension = _step_of(cells[0].args[0], set())[1]
    for number, cell in enumerate(cells):
        before = cells[number - 1] if number else None
        if (
            _step_of(cell.args[0], seen) != (x, dimension, number)
            or (before and cell.args[1] != [_result(before, 0), _result(before, 1)])
            or cell.args[2:] != cells[0].args[2:]
        ):
            raise _unknown(cell)
    users = {user for node in seen for user in node.users}
    users = {user for user in users if not str(user.target).startswith(BESIDE_THE_DATA + ZEROS)}
    if dimension not in (0, 1) or len(cells) != shape_of(x)[dimension] or users - seen - {*cells}:
        raise _unknown(cells[0])
    return _end(cells, dimension), dimension == 1


def _end(cells: Sequence[Node], dimension: int) -> Node:
    """Where the loop's result comes out: the last cell, or a stack of what all of them give."""
    outputs = [_result(cell, 0) for cell in cells]
    inner = [node for cell in cells[:-1] for node in cell.users]
    leaving = {user for node in inner for user in node.users} - {*cells}
    if not leaving:
        return cells[-1]
    leaving |= {user for node in cells[-1].users for user in node.users}
    stack = leaving.pop()
    if leaving or str(stack.target) != "aten.stack.default":
        raise _unknown(cells[-1])
    args: Any = stack.args
    parts, along = (*args, 0)[:2]
    if parts != outputs or along != dimension:
        raise _unknown(cells[-1])
    return stack


def _result(cell: Node, number: int) -> Node | None:
    """The node that takes one of a cell's two results."""
    found = [user for user in cell.users if user.args[1] == number]
    return found[0] if found else None


def _step_of(node: Any, seen: set[Any]) -> tuple[Any, int, int]:
    """Which step a node is: of what, along which dimension, and its number. Adds the nodes on the
    way to ``seen``."""
    source, dimension, number = node, -1, -1
    if str(node.target) == "aten.select.int":
        source, dimension, number = node.args
        seen.add(node)
    elif str(node.target) == GETITEM and str(node.args[0].target) == "aten.unbind.int":
        unbind, number = node.args
        source, dimension = [*unbind.args, 0][:2]
        seen |= {node, unbind}
    while is_whole(source):
        seen.add(source)
        source = source.args[0]
    return source, dimension, number


def is_whole(node: Any) -> bool:
    """Whether a node slices its input from end to end."""
    if str(node.target) != "aten.slice.Tensor":
        return False
    _, start, end, step = (*node.args[1:], *(0, None, None, 1)[len(node.args) - 1 :])
    return start in (0, None) and (end is None or end > _NOWHERE) and step == 1


def _unknown(cell: Node) -> UserError:
    return UserError(
        f"{place_of(cell)}: a loop over an LSTMCell must take all steps of the network's input in "
        "order and hand both states on, and give its last state h or the stack of all; "
        "nn.LSTM takes the same weights"
    )
