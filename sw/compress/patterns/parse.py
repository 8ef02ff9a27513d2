"""Patterns as text, such as ``2:4`` and ``block:16x8``."""

import re
from collections.abc import Callable

from spec.errors import UserError
from sw.compress.patterns.base import Pattern
from sw.compress.patterns.element import NM, Balanced
from sw.compress.patterns.groups import Block, Channel, Row, Unstructured
from sw.compress.patterns.tiles import Tile, TileVector

FORMS: dict[str, tuple[str, Callable[..., Pattern]]] = {
    "unstructured": (r"unstructured", Unstructured),
    "N:M": (r"(\d+):(\d+)", NM),
    "balanced:PES": (r"balanced:(\d+)", Balanced),
    "block:ROWSxINPUTS": (r"block:(\d+)x(\d+)", Block),
    "row": (r"row", Row),
    "channel": (r"channel", Channel),
    "tile:ROWS[xBANKS]": (r"tile:(\d+)(?:x(\d+))?", Tile),
    "tile-vector:ROWS[xBANKS]:N:M": (
        r"tile-vector:(\d+)(?:x(\d+))?:(\d+):(\d+)",
        lambda rows, banks, n, m: TileVector(rows, n, m, banks),
    ),
}
"""How each pattern is written, for people and as a regular expression, and what makes it."""


def parse(text: str | Pattern) -> Pattern:
    """The pattern that a text names; a pattern is given back as it is.

    Raises
    ------
    UserError
        With all forms, if the text has none of them.
    """
    if isinstance(text, Pattern):
        return text
    for expression, make in FORMS.values() if isinstance(text, str) else ():
        if found := re.fullmatch(expression, text.strip()):
            return make(*(1 if number is None else int(number) for number in found.groups()))
    raise UserError(f"the pattern {text!r} was given; there are {', '.join(FORMS)}")
