"""Values and operators as Verilog text.

Every operand is as wide as its operator's result (:mod:`hw.verilog.netlist` sees to that), so the
text means the same wherever it stands. The few operators of which that is not true stand alone, in
an assignment of their own.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby

from hw.verilog.fold import COMPARISONS
from hw.verilog.names import Names
from hw.verilog.netlist import Netlist, Node
from hw.verilog.values import Chunk, Spec, const_value, spec_width

ASSOCIATIVE = {"&", "|", "^"}
INLINE_ONCE = 72
INLINE_OFTEN = 24
"""Longest text of an unnamed value that is put in its place, if it is read once and more often."""


def literal(value: int, width: int) -> str:
    if width == 1:
        return f"1'b{value}"
    return f"{width}'d{value}" if value < 1000 else f"{width}'h{value:x}"


def vector(width: int) -> str:
    """The range in a declaration, and a space behind it; nothing for a single bit."""
    return f"[{width - 1}:0] " if width > 1 else ""


def _signed_literal(value: int, width: int) -> str:
    if value >> (width - 1) == 0:
        return f"{width}'sd{value}"
    return f"{width}'sh{value:x}"


_PREFIXES = {"~": "~", "neg": "-", "any": "|", "all": "&", "parity": "^"}
_KINDS = {
    "+": "sum", "-": "difference", "neg": "difference", "*": "product", "?": "choice",
    "<<": "shifted", ">>": "shifted", ">>>": "shifted", "/": "quotient", "%": "remainder",
}  # fmt: skip


class Expressions:
    """Text of the values of one module.

    Parameters
    ----------
    netlist : Netlist
    names : Names
    wire_names : dict
        Verilog names of the wires that have one. Unnamed values that do not fit where they are
        read are added.
    """

    def __init__(self, netlist: Netlist, names: Names, wire_names: dict[str, str]):
        self.netlist = netlist
        self.names = names
        self.wire_names = wire_names
        self.inlined: dict[str, tuple[str, str]] = {}
        self.uses: Counter[str] = Counter()
        self.sliced: set[str] = set()
        for spec in netlist.all_reads():
            for chunk, _ in _runs(spec):
                if chunk.wire:
                    self.uses[chunk.wire] += 1
                    if chunk.width != netlist.wires[chunk.wire].width:
                        self.sliced.add(chunk.wire)
        for spec in netlist.taken_apart():
            self.sliced |= {chunk.wire for chunk in spec if chunk.wire and chunk.width > 1}
        # In the order of making, in which operands come first: no deep recursion.
        for name in netlist.drivers:
            self.place(name)

    def place(self, name: str) -> None:
        """Decide where the value of wire ``name`` is written: where it is read, or under a name."""
        if name in self.inlined or name in self.wire_names:
            return
        driver = self.netlist.drivers[name]
        if isinstance(driver, Node) and name not in self.sliced and not _stands_alone(driver):
            text, op = self.node(driver)
            if len(text) <= (INLINE_ONCE if self.uses[name] == 1 else INLINE_OFTEN):
                self.inlined[name] = (text, op)
                return
        kind = _KINDS.get(driver.op, "value") if isinstance(driver, Node) else "value"
        self.wire_names[name] = self.names.number(kind)

    def spec(self, spec: Spec) -> str:
        return self._spec(spec)[0]

    def chunk(self, chunk: Chunk) -> str:
        """Some bits of a wire that has a name."""
        name = self.wire_names[chunk.wire]
        wire = self.netlist.wires[chunk.wire]
        if chunk.width == wire.width:
            return name
        if chunk.width == 1:
            return f"{name}[{chunk.start}]"
        return f"{name}[{chunk.start + chunk.width - 1}:{chunk.start}]"

    def _piece(self, chunk: Chunk) -> tuple[str, str]:
        if not chunk.wire:
            return literal(chunk.value, chunk.width), ""
        self.place(chunk.wire)
        return self.inlined.get(chunk.wire) or (self.chunk(chunk), "")

    def _spec(self, spec: Spec) -> tuple[str, str]:
        """Text, and its outermost operator if it has one that needs parentheses."""
        runs = list(_runs(spec))
        if not runs:
            raise ValueError("a value without bits")
        if len(runs) == 1 and runs[0][1] == 1:
            return self._piece(runs[0][0])
        texts = []
        for chunk, count in reversed(runs):
            text = self._piece(chunk)[0]
            texts.append(f"{{{count}{{{text}}}}}" if count > 1 else text)
        return (f"{{{', '.join(texts)}}}" if len(texts) > 1 else texts[0]), ""

    def operand(self, spec: Spec, within: str = "") -> str:
        """``spec``, in parentheses if it needs them within the operator ``within``."""
        text, op = self._spec(spec)
        bare = not op or (op == "~" and within != "~") or (op == within and op in ASSOCIATIVE)
        return text if bare else f"({text})"

    def opposite(self, spec: Spec) -> str:
        """The opposite of one bit."""
        text, op = self._spec(spec)
        if op == "~":
            return text[1:]
        return f"~({text})" if op else f"~{text}"

    def node(self, node: Node) -> tuple[str, str]:
        """Text of an operator, and the operator if it needs parentheses inside of another."""
        op, operands = node.op, node.operands
        if op == "=":
            return self._spec(operands[0])
        if op == "~" and node.width == 1:
            text = self.opposite(operands[0])
            return text, "~" if text.startswith("~") else ""
        if op in _PREFIXES:
            return f"{_PREFIXES[op]}{self.operand(operands[0], '~')}", op
        if op == "?":
            yes, no = self.operand(operands[1]), self.operand(operands[2])
            return f"{self.operand(operands[0])} ? {yes} : {no}", op
        if node.signed and (op == "*" or op in COMPARISONS):
            return f"{self._signed(operands[0])} {op} {self._signed(operands[1])}", op
        if op == ">>>":
            return f"{self._signed(operands[0])} >>> {self.operand(operands[1])}", op
        if _stands_alone(node):
            return f"{self._alone(operands[0])} {op} {self._alone(operands[1])}", op
        return f"{self.operand(operands[0], op)} {op} {self.operand(operands[1], op)}", op

    def _alone(self, spec: Spec) -> str:
        """``spec`` so that the width around it does not reach in."""
        text, op = self._spec(spec)
        return f"{{{text}}}" if op else text

    def _signed(self, spec: Spec) -> str:
        value = const_value(spec)
        if value is not None:
            return _signed_literal(value, spec_width(spec))
        return f"$signed({self.spec(spec)})"


def _stands_alone(node: Node) -> bool:
    """Whether the operator looks at the width or the signs around it."""
    if node.op == "*":
        return any(spec_width(operand) != node.width for operand in node.operands)
    return node.op == ">>>"


def _runs(spec: Spec) -> Iterator[tuple[Chunk, int]]:
    """Chunks, and how often each follows itself (as the sign of a widened value does)."""
    for chunk, same in groupby(spec):
        yield chunk, len(list(same))
