"""Patterns as users declare them: for all layers, or by name."""

from collections.abc import Mapping, Sequence

from spec.errors import UserError
from spec.nm.config import Mode, NmConfig

AUTO = "auto"
"""The compiler takes whatever pattern a layer's zeros follow."""

OTHERS = "*"
"""Stands for the layers that are not named."""

Pattern = str | Mapping[str, str]
"""A pattern for all layers (``"2:4"``, ``"dense"``, ``"auto"``), or one by name of a layer; layers
that are not named have that of ``"*"``, or else ``"auto"``."""


def patterns_of(pattern: Pattern, names: Sequence[str], config: NmConfig) -> dict[str, Mode | None]:
    """The pattern that each layer is declared to follow; None where the compiler is to find one.

    Raises
    ------
    UserError
        No pattern, one that the array has not, or the name of no layer.
    """
    declared = {OTHERS: pattern} if isinstance(pattern, str) else dict(pattern)
    for name in declared:
        if name != OTHERS and name not in names:
            raise UserError(
                f"a pattern is declared for layer {name!r}, but the network has {', '.join(names)}"
            )
    others = declared.get(OTHERS, AUTO)
    return {name: _mode(declared.get(name, others), config) for name in names}


def parse_patterns(texts: Sequence[str]) -> Pattern:
    """Patterns of the command line: ``2:4`` for all layers, ``NAME=2:4`` for one."""
    declared: dict[str, str] = {}
    for text in texts:
        name, equals, pattern = text.rpartition("=")
        name = name if equals else OTHERS
        if declared.setdefault(name, pattern) != pattern:
            raise UserError(f"--pattern {text}: contradicts {declared[name]}")
    return declared


def _mode(pattern: str, config: NmConfig) -> Mode | None:
    if pattern == AUTO:
        return None
    mode = Mode.parse(pattern)
    if not 1 <= mode.n <= mode.m:
        raise UserError(f"pattern {pattern}: N must be from 1 to M, {mode.n} is not")
    try:
        config.mode_number(mode)
    except UserError as error:
        raise UserError(
            f"{error}; choose one of these, or an array with other n, m and groups"
        ) from None
    return mode
