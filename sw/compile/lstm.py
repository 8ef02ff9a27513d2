"""Recurrent networks: the walk along a graph where the data is a sequence for a while.

torch.export keeps an ``nn.LSTM`` as one operation with three results: the output of every step, and
the last states h and c of all layers.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

from torch.export import ExportedProgram
from torch.fx import Node

from spec.errors import UserError
from sw.compile.graph import LINEAR, OF_IMAGES, Walk
from sw.compile.loop import GETITEM, LSTM_CELL, is_whole, roll_up
from sw.compile.network import FloatLayer, FloatLstm, Network
from sw.compile.nodes import BESIDE_THE_DATA, ZEROS, path_of, place_of, shape_of

LSTM = "aten.lstm.input"

_RECURRENT = ("aten.lstm", "aten.gru", "aten.rnn_")

SEQUENCE, SAMPLES, STATES, RESULTS = "sequence", "samples", "states", "results"
"""What the data is at a place of the graph: a sequence, one step of each sample, the last states of
all layers, or all results of an LSTM."""


def is_recurrent(program: ExportedProgram) -> bool:
    """Whether there is an operation with states, supported or not."""
    return any(str(node.target).startswith(_RECURRENT) for node in program.graph.nodes)


def sequence_network(program: ExportedProgram) -> Network:
    """A recurrent network from its exported program; without its ``run``.

    Raises
    ------
    UserError
        If the graph is not one chain of supported operations; names the module and the operation.
    """
    walk = SequenceWalk(program)
    layers, notes = walk.layers(), tuple(walk.notes)
    return Network(layers=layers, notes=notes, batch_first=walk.batch_first, steps=walk.steps)


class SequenceWalk(Walk):
    """Follows sequences, too: (samples, steps, inputs), or (steps, samples, inputs) if an LSTM says
    so."""

    supported = f"LSTM, LSTMCell, the last step of a sequence, {LINEAR}"
    beside = BESIDE_THE_DATA + ZEROS
    dimensions = (2,)

    def __init__(self, program: ExportedProgram) -> None:
        super().__init__(program)
        nodes = list(program.graph.nodes)
        self.cells = [node for node in nodes if str(node.target) == LSTM_CELL]
        self.lstms = [node for node in nodes if str(node.target) == LSTM]
        self.batch_first = _batch_first(self.lstms)
        self.data = SAMPLES
        self.steps: int | None = 1
        self.notes: list[str] = []

    def layers(self) -> tuple[FloatLayer | FloatLstm, ...]:
        layers = super().layers()
        if self.data == STATES:
            raise UserError(
                "the network returns the last states h of all layers of an LSTM, "
                "it must return those of its last layer: h[-1]"
            )
        return layers

    def handlers(self) -> dict[str, Callable[[Node], None]]:
        feed_forward = {
            name: handler for name, handler in super().handlers().items() if name not in OF_IMAGES
        }
        return {
            **feed_forward,
            LSTM: self.lstm,
            LSTM_CELL: self.cell,
            GETITEM: self.getitem,
            "aten.select.int": self.select,
            "aten.slice.Tensor": self.slice,
            "aten.squeeze.dim": self.flatten,
        }

    def start(self) -> Node:
        node = super().start()
        sizes = shape_of(node)
        if len(sizes) < 3:
            return node
        self.data = SEQUENCE
        if self.cells:
            node, batch_first = roll_up(node, self.cells)
            same = not self.lstms or batch_first == self.batch_first
            self._must(self.cells[0], same, "must count steps along one dimension with all others")
            self.batch_first = batch_first
            self._add_cell(self.cells[0], "last" if node is self.cells[-1] else "sequence")
        steps = sizes[1 if self.batch_first else 0]
        self.steps = steps if isinstance(steps, int) else None
        return node

    def only_user(self, node: Node) -> Node:
        if self.data != RESULTS:
            return super().only_user(node)
        used = [user for user in node.users if user.users]
        if len(used) == 1:
            return used[0]
        output: Any = self.program.graph.output_node()
        returned = self.program.call_spec.out_spec
        if not (returned and returned.type is tuple and list(output.args[0]) == list(node.users)):
            raise UserError(
                f"{place_of(node)}: {len(used)} results of an LSTM are used; "
                "the compiler takes one, its output or its last state h"
            )
        # The network returns just what its LSTM returns.
        self._take_output(node)
        name = path_of(node) or "lstm"
        self.notes.append(f"{name}: took its output, not its states after the last step")
        return output

    # One method per operation ---------------------------------------------------------------------

    def lstm(self, node: Node) -> None:
        args: Any = node.args
        _, states, parameters, biases, count, dropout, training, bidirectional, _ = args
        self._must(node, self.data == SEQUENCE, "must take a sequence, with a state for each step")
        self._must(node, not bidirectional, "must have one direction, it is bidirectional")
        self.refuse_training(node, training and dropout > 0)
        each = 4 if biases else 2
        whole = len(parameters) == each * count
        self._must(node, whole, "must have h and c of one size, it has proj_size")
        self._refuse_states(node, states)
        for layer in range(count):
            suffix = f".l{layer}" if count > 1 else ""
            self._add(node, parameters[each * layer : each * (layer + 1)], suffix, "sequence")
        self.data = RESULTS

    def cell(self, node: Node) -> None:
        first = not any(map(_is_lstm, self.found))
        self._must(node, first and self.data == SAMPLES, "cell must be the first of the network")
        self._add_cell(node, "last")

    def getitem(self, node: Node) -> None:
        args: Any = node.args
        source, number = args
        if number == 0:
            self._take_output(source)
        elif number == 1 and str(source.target) == LSTM:
            self.data = STATES
        else:
            raise UserError(
                f"{place_of(node)}: the state c of an LSTM is used; "
                "the compiler takes its output or its last state h"
            )

    def select(self, node: Node) -> None:
        args: Any = node.args
        source, dimension, number = args
        sizes = shape_of(source)
        size = sizes[dimension]
        wanted = {SEQUENCE: int(self.batch_first), STATES: 0}.get(self.data)
        right = dimension % len(sizes) == wanted and any(map(_is_lstm, self.found))
        if not right or number not in (-1, *([size - 1] if isinstance(size, int) else [])):
            raise UserError(
                f"{place_of(node)}: takes number {number} along dimension {dimension} of {sizes}; "
                "behind an LSTM the compiler takes the last step of a sequence, or the state h "
                "of the last layer"
            )
        self._take_last()

    def slice(self, node: Node) -> None:
        if not is_whole(node):
            raise self.unsupported(node)

    def flatten(self, node: Node) -> None:
        before, after = (list(map(str, shape_of(each))) for each in (node.args[0], node))
        if self.data == STATES and before == ["1", *after]:
            self._take_last()
        elif self.data == SAMPLES and str(node.target) != "aten.squeeze.dim":
            super().flatten(node)
        elif self.data != SEQUENCE or len(after) < 3 or before[:2] != after[:2]:
            raise UserError(
                f"{place_of(node)}: {node.target} from ({', '.join(before)}) to "
                f"({', '.join(after)}) mixes steps or layers; only flattening within each step is "
                "supported, and taking the last step"
            )

    def check_dimensions(self, node: Node) -> None:
        if self.data == STATES:
            raise UserError(
                f"{place_of(node)}: a Linear on the last states h of all layers is not supported; "
                "take those of the last one: h[-1]"
            )
        if self.data != SEQUENCE or len(shape_of(node.args[0])) != 3:
            super().check_dimensions(node)

    # Parts of these -------------------------------------------------------------------------------

    def _add_cell(self, node: Node, returns: Literal["sequence", "last"]) -> None:
        self._refuse_states(node, node.args[1])
        self._add(node, node.args[2:], "", returns)
        self.data = RESULTS if returns == "last" else SEQUENCE

    def _add(
        self, node: Node, parameters: Any, suffix: str, returns: Literal["sequence", "last"]
    ) -> None:
        """Add one layer by its two weights and, if it has them, two biases."""
        name = self.unused_name(node, "lstm", suffix)
        weight_ih, weight_hh, bias = self.parameters.lstm(parameters, name)
        weight_ih, bias, folded = self.fold(name, weight_ih, bias)
        self.found.append(
            FloatLstm(
                name=name,
                weight_ih=weight_ih,
                weight_hh=weight_hh,
                bias=bias,
                returns=returns,
                folded=folded,
            )
        )

    def _take_output(self, node: Any) -> None:
        self.data = SEQUENCE if str(node.target) == LSTM else SAMPLES

    def _take_last(self) -> None:
        """Of the last LSTM found, only the last step goes on: what stands behind it so far works on
        each step by itself."""
        at, layer = [each for each in enumerate(self.found) if _is_lstm(each[1])][-1]
        self.found[at] = replace(layer, returns="last")  # pyright: ignore[reportCallIssue]
        self.data = SAMPLES

    def _must(self, node: Node, holds: bool, what: str) -> None:
        if not holds:
            raise UserError(f"{place_of(node)}: an LSTM {what}")

    def _refuse_states(self, node: Node, states: Any) -> None:
        for name, state in zip("hc", states, strict=True):
            if not self.parameters.is_zero(state):
                raise UserError(
                    f"{place_of(node)}: starts from a state {name} that is given or learned, "
                    "an LSTM must start from zeros"
                )


def _batch_first(lstms: Sequence[Node]) -> bool:
    """What all LSTMs of a graph say; true if there is none."""
    for node in lstms:
        if node.args[8] != lstms[0].args[8]:
            raise UserError(
                f"{place_of(node)}: batch_first = {node.args[8]}, "
                f"but {place_of(lstms[0])} in front of it has {lstms[0].args[8]}"
            )
    return bool(lstms[0].args[8]) if lstms else True


def _is_lstm(layer: FloatLayer | FloatLstm) -> bool:
    return isinstance(layer, FloatLstm)
