"""Pieces of the docs pages that are made from results."""

import io
from collections.abc import Callable, Sequence
from typing import Any


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table, the first column to the left and all others to the right."""
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def percent(value: float) -> str:
    """A share, as people write it."""
    return f"{value:.1%}".replace("%", " %")


def svg(width: float, height: float, draw: Callable[[Any], None]) -> bytes:
    """A figure of matplotlib's, so many inches large, that ``draw`` fills. Equal figures give equal
    files: nothing in them differs from one run to the next."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    file, nothing = io.BytesIO(), dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with mpl.rc_context({"svg.hashsalt": "skipstone", "font.size": 9}):
        figure = pyplot.figure(figsize=(width, height), layout="constrained")
        draw(figure)
        figure.savefig(file, format="svg", metadata=nothing)
        pyplot.close(figure)
    return file.getvalue()
