"""Assignments under conditions as the inside of an ``always`` block."""

from collections.abc import Iterator

from hw.verilog.expressions import Expressions, literal
from hw.verilog.fold import Arm, disjoint
from hw.verilog.netlist import Netlist
from hw.verilog.rtlil import Assign, Body, Switch
from hw.verilog.values import Spec, spec_slice, spec_width


class Statements:
    """Prints the statements that drive one wire.

    Parameters
    ----------
    expressions : Expressions
    netlist : Netlist
    target : str
        Verilog name of the wire.
    arrow : str
        ``=`` or ``<=``.
    """

    def __init__(self, expressions: Expressions, netlist: Netlist, target: str, arrow: str):
        self.expressions = expressions
        self.netlist = netlist
        self.target = target
        self.arrow = arrow

    def next_state(self, register: str, body: Body) -> list[str]:
        """A register's block: that it keeps its value is not said, and the reset stands first."""
        hold = body[0]
        if isinstance(hold, Assign) and hold.value == self.netlist.wires[register].whole:
            body = body[1:]
        reset = body[-1] if body else None
        if not isinstance(reset, Switch) or len(body) == 1 or not self._resets(reset):
            return list(self.body(body, "  "))
        arms = [reset.cases[0], ([], body[:-1])]
        return list(self._if(reset.selector, arms, "  "))

    def _resets(self, switch: Switch) -> bool:
        """Whether ``switch`` does nothing but set the whole register under one condition."""
        if spec_width(switch.selector) != 1 or [p for p, _ in switch.cases] != [["1"]]:
            return False
        inner = switch.cases[0][1]
        return (
            len(inner) == 1
            and isinstance(inner[0], Assign)
            and inner[0].target.start == 0
            and (inner[0].target.width == self.netlist.wires[inner[0].target.wire].width)
        )

    def body(self, body: Body, indent: str) -> Iterator[str]:
        for item in body:
            if isinstance(item, Assign):
                yield f"{indent}{self._assign(item)}"
            else:
                yield from self._switch(item, indent)

    def _assign(self, item: Assign) -> str:
        width = self.netlist.wires[item.target.wire].width
        start, end = item.target.start, item.target.start + item.target.width - 1
        part = (
            ""
            if item.target.width == width
            else f"[{start}]"
            if start == end
            else f"[{end}:{start}]"
        )
        return f"{self.target}{part} {self.arrow} {self.expressions.spec(item.value)};"

    def _switch(self, switch: Switch, indent: str) -> Iterator[str]:
        arms = switch.cases
        if _as_case(switch.selector, arms):
            yield from self._case(switch.selector, arms, indent)
        else:
            yield from self._if(switch.selector, arms, indent)

    # If ---------------------------------------------------------------------------------------

    def _if(self, selector: Spec, arms: list[Arm], indent: str, opening: str = "") -> Iterator[str]:
        """A chain of conditions; ``opening`` ends the block that this one is the alternative of."""
        for index, (patterns, inner) in enumerate(arms):
            condition = self._condition(selector, patterns)
            if condition is None or self._is_rest(selector, arms, index):
                yield from self._else(inner, indent, opening)
                return
            yield f"{indent}{opening}if ({condition}) begin{self._comment(selector, patterns)}"
            yield from self.body(inner, f"{indent}  ")
            opening = "end else "
        yield f"{indent}end"

    def _else(self, inner: Body, indent: str, opening: str) -> Iterator[str]:
        if not opening:
            yield from self.body(inner, indent)
            return
        if len(inner) == 1 and isinstance(inner[0], Switch):
            arms = inner[0].cases
            if not _as_case(inner[0].selector, arms):
                yield from self._if(inner[0].selector, arms, indent, opening)
                return
        yield f"{indent}{opening}begin"
        yield from self.body(inner, f"{indent}  ")
        yield f"{indent}end"

    def _is_rest(self, selector: Spec, arms: list[Arm], index: int) -> bool:
        """Whether the last arm is all that the one before it leaves: a bit is not the other."""
        patterns = [pattern for labels, _ in arms for pattern in labels]
        return index == len(arms) - 1 > 0 and sorted(patterns) == ["0", "1"]

    def _condition(self, selector: Spec, patterns: list[str]) -> str | None:
        tests = [self._test(selector, pattern) for pattern in patterns]
        if not tests or None in tests:
            return None
        return " | ".join(f"({test})" for test in tests) if len(tests) > 1 else tests[0]

    def _test(self, selector: Spec, pattern: str) -> str | None:
        """The condition that ``selector`` matches ``pattern``; ``None`` if it always does."""
        bits = pattern[::-1]
        cared = [index for index, bit in enumerate(bits) if bit != "-"]
        if not cared:
            return None
        if len(cared) == 1:
            bit = spec_slice(selector, cared[0], 1)
            return (
                self.expressions.spec(bit)
                if bits[cared[0]] == "1"
                else self.expressions.opposite(bit)
            )
        low, high = cared[0], cared[-1]
        width = high - low + 1
        part = self.expressions.operand(spec_slice(selector, low, width))
        value = int(pattern.replace("-", "0"), 2) >> low
        if len(cared) < width:
            mask = sum(1 << (index - low) for index in cared)
            part = f"({part} & {literal(mask, width)})"
        return f"{part} == {literal(value, width)}"

    # Case -------------------------------------------------------------------------------------

    def _case(self, selector: Spec, arms: list[Arm], indent: str) -> Iterator[str]:
        width = spec_width(selector)
        labels = [pattern for patterns, _ in arms for pattern in patterns]
        wild = any("-" in pattern for pattern in labels)
        yield f"{indent}{'casez' if wild else 'case'} ({self.expressions.spec(selector)})"
        for patterns, inner in arms:
            label = ", ".join(_label(pattern, width) for pattern in patterns) or "default"
            yield from self._arm(label, inner, indent, self._comment(selector, patterns))
        if arms[-1][0] and sum(1 << pattern.count("-") for pattern in labels) < 1 << width:
            yield f"{indent}  default: ;"
        yield f"{indent}endcase"

    def _arm(self, label: str, inner: Body, indent: str, comment: str) -> Iterator[str]:
        if not inner:
            yield f"{indent}  {label}: ;{comment}"
        elif len(inner) == 1 and isinstance(inner[0], Assign):
            yield f"{indent}  {label}: {self._assign(inner[0])}{comment}"
        else:
            yield f"{indent}  {label}: begin{comment}"
            yield from self.body(inner, f"{indent}    ")
            yield f"{indent}  end"

    def _comment(self, selector: Spec, patterns: list[str]) -> str:
        """Names of the values, if the selector is an enumeration."""
        wire = self.netlist.wires.get(selector[0].wire) if len(selector) == 1 else None
        if not wire or spec_width(selector) != wire.width:
            return ""
        words = [wire.names.get(int(pattern, 2)) for pattern in patterns if "-" not in pattern]
        return f"  // {', '.join(filter(None, words))}" if any(words) else ""


def _label(pattern: str, width: int) -> str:
    return (
        f"{width}'b{pattern.replace('-', '?')}"
        if "-" in pattern
        else literal(int(pattern, 2), width)
    )


def _as_case(selector: Spec, arms: list[Arm]) -> bool:
    """Whether a case statement says it best: several arms, of which never two match."""
    return (
        spec_width(selector) > 1
        and sum(len(patterns) for patterns, _ in arms) > 1
        and disjoint(arms)
    )
