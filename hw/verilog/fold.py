"""What an operator or a condition is when some of its operands are constant."""

import operator
from collections.abc import Callable
from typing import Any

from hw.verilog.rtlil import Assign, Body, Switch
from hw.verilog.values import Spec, const, const_value, extend, merge, spec_slice, spec_width

Arm = tuple[list[str], Body]
Folded = tuple[str, tuple[Spec, ...], Spec | None]
"""Operator, operands, and the value if no operator is needed."""


def fold(op: str, width: int, operands: tuple[Spec, ...], signed: bool) -> Folded:
    """The operator in its simplest form; never another width, never another value."""
    values = [const_value(operand) for operand in operands]
    if op == "=":
        return op, operands, operands[0]
    if op == "?":
        return _fold_mux(operands, values)
    if op == "all" and any(not c.wire and c.value + 1 < 1 << c.width for c in operands[0]):
        return op, operands, const(0, 1)
    if op == "any" and any(c.value for c in operands[0]):
        return op, operands, const(1, 1)
    if op in ("any", "all", "parity") and spec_width(operands[0]) == 1:
        return op, operands, operands[0]
    if None not in values:
        return op, operands, const(_calculate(op, width, operands, signed), width)
    if op in COMPARISONS and operands[0] == operands[1]:
        return op, operands, const(op in ("==", "<=", ">="), 1)
    if op in _COMMUTATIVE and values[0] is not None:
        operands, values = operands[::-1], values[::-1]
    if op in ("==", "!="):
        return _fold_equal(op, operands, values)
    if op in COMPARISONS:
        return op, operands, None if signed else _fold_limit(op, operands, values)
    if len(operands) == 2 and values[1] is not None:
        if (
            op == "*"
        ):  # Factors may be shorter than their product; all else is as wide as its result.
            first, second = (extend(operand, width, signed) for operand in operands)
            return op, operands, _fold_second(op, width, first, const_value(second) or 0)
        return op, operands, _fold_second(op, width, operands[0], values[1])
    return op, operands, None


COMPARISONS = {"==", "!=", "<", ">", "<=", ">="}
_COMMUTATIVE = {"&", "|", "^", "+", "*", "==", "!="}
_CALCULATE: dict[str, Callable[..., Any]] = {
    "neg": operator.neg,
    "~": operator.invert,
    "any": lambda a: a != 0,
    "parity": lambda a: a.bit_count() & 1,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda a, b: a // b if b else 0,
    "%": lambda a, b: a % b if b else 0,
    "<<": operator.lshift,
    ">>": operator.rshift,
    ">>>": operator.rshift,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


def _calculate(op: str, width: int, operands: tuple[Spec, ...], signed: bool) -> int:
    """The value of an operator whose operands are all constant."""
    numbers = []
    for index, operand in enumerate(operands):
        value, bits = const_value(operand) or 0, spec_width(operand)
        negative = signed and bits and value >> (bits - 1) and not (op == ">>>" and index == 1)
        numbers.append(value - (1 << bits) if negative else value)
    if op == "all":
        return numbers[0] == (1 << spec_width(operands[0])) - 1
    return _CALCULATE[op](*numbers)


def _fold_mux(operands: tuple[Spec, ...], values: list[int | None]) -> Folded:
    select, yes, no = operands
    if values[0] is not None:
        return "?", operands, yes if values[0] else no
    if yes == no:
        return "?", operands, yes
    if spec_width(yes) == 1 and (values[1], values[2]) == (1, 0):
        return "?", operands, select
    if spec_width(yes) == 1 and (values[1], values[2]) == (0, 1):
        return "~", (select,), None
    return "?", operands, None


def _fold_equal(op: str, operands: tuple[Spec, ...], values: list[int | None]) -> Folded:
    """Comparing one bit with a constant is the bit, or its opposite."""
    first, second = operands
    if values[1] is not None and spec_width(first) == 1:
        if (values[1] == 1) == (op == "=="):
            return op, operands, first
        return "~", (first,), None
    return op, (first, second), None


def _fold_limit(op: str, operands: tuple[Spec, ...], values: list[int | None]) -> Spec | None:
    """Comparisons with a constant that the range of an unsigned operand decides."""
    if values[0] is not None:
        op, operands, values = _MIRRORED[op], operands[::-1], values[::-1]
    value = values[1]
    if value is None:
        return None
    largest = (1 << _bits_in_use(operands[0])) - 1
    if op in ("<", ">="):
        beyond, decided = value > largest, value == 0 or value > largest
    else:
        beyond, decided = True, value >= largest
    return const(beyond == (op in ("<", "<=")), 1) if decided else None


_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def _bits_in_use(spec: Spec) -> int:
    """Width of ``spec`` without its leading zeros."""
    width = spec_width(spec)
    if spec and not spec[-1].wire:
        return width - spec[-1].width + spec[-1].value.bit_length()
    return width


def _fold_second(op: str, width: int, first: Spec, value: int) -> Spec | None:
    """Operators whose second operand is a constant that makes them wiring only."""
    ones = (1 << width) - 1
    if (op in "+-|^" and value == 0) or (op == "&" and value == ones):
        return first
    if op in "&*" and value == 0:
        return const(0, width)
    if op == ">>>":
        return extend(spec_slice(first, min(value, width - 1), width), width, True)
    if op == "<<":
        return extend(merge(const(0, min(value, width)) + first), width, False)
    if op == ">>":
        return extend(spec_slice(first, value, width), width, False)
    if op == "*" and value and value & (value - 1) == 0:
        return extend(merge(const(0, value.bit_length() - 1) + first), width, False)
    return None


def fold_body(body: Body, resolve: Callable[[Spec], Spec]) -> Body:
    """Statements over resolved values, without the conditions that a constant decides."""
    folded: Body = []
    for item in body:
        if isinstance(item, Assign):
            folded.append(Assign(item.target, resolve(item.value)))
            continue
        cases = [(patterns, fold_body(inner, resolve)) for patterns, inner in item.cases]
        switch = Switch(resolve(item.selector), cases)
        value = const_value(switch.selector)
        folded += tidy(switch) if value is None else taken(switch, value)
    return folded


def tidy(switch: Switch) -> Body:
    """``switch`` without arms that do nothing or are never reached, and unneeded bits."""
    arms: list[Arm] = []
    for patterns, inner in switch.cases:
        always = any(set(pattern) == {"-"} for pattern in patterns)
        arms.append(([] if always else patterns, inner))
        if not arms[-1][0]:
            break
    while arms and not arms[-1][1]:
        arms.pop()
    if not arms:
        return []
    if not arms[0][0]:
        return arms[0][1]
    if arms[-1][0] and disjoint(arms):
        arms = [(patterns, inner) for patterns, inner in arms if inner]
    every = [pattern for patterns, _ in arms for pattern in patterns]
    cared = [place for place in range(len(every[0])) if any(p[place] != "-" for p in every)]
    if len(cared) == len(every[0]):
        return [Switch(switch.selector, arms)]
    top = len(every[0]) - 1
    selector = merge(
        bit for place in reversed(cared) for bit in spec_slice(switch.selector, top - place, 1)
    )
    fewer = [
        (["".join(p[place] for place in cared) for p in patterns], inner)
        for patterns, inner in arms
    ]
    return [Switch(selector, fewer)]


def disjoint(arms: list[Arm]) -> bool:
    """Whether no two patterns match the same value."""
    patterns = [pattern for labels, _ in arms for pattern in labels]
    if not any("-" in pattern for pattern in patterns):
        return len(set(patterns)) == len(patterns)
    return not any(
        all(a == b or "-" in (a, b) for a, b in zip(first, second, strict=True))
        for index, first in enumerate(patterns)
        for second in patterns[:index]
    )


def join_first(body: Body) -> Body:
    """The unconditional assignments at the start as one: all to parts of what the first assigns."""
    first, *rest = body
    assert isinstance(first, Assign)
    value = first.value
    while rest and isinstance(rest[0], Assign):
        target, part = rest[0].target, rest[0].value
        end = target.start + target.width
        above = spec_slice(value, end, spec_width(value) - end)
        value = merge((*spec_slice(value, 0, target.start), *part, *above))
        rest = rest[1:]
    return [Assign(first.target, value), *rest]


def taken(switch: Switch, value: int) -> Body:
    """The statements that run when the selector is ``value``."""
    for patterns, inner in switch.cases:
        if not patterns or any(matches(pattern, value) for pattern in patterns):
            return inner
    return []


def matches(pattern: str, value: int) -> bool:
    """Whether ``value`` fits a pattern of 0, 1 and - (anything), the most significant first."""
    return all(bit in ("-", str(value >> index & 1)) for index, bit in enumerate(reversed(pattern)))
