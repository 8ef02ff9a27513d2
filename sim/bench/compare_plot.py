"""The plot of what patterns cost and lose, made from ``results/nm_compare.json``."""

from collections.abc import Iterable
from typing import Any

from sim.bench.compare_page import SHOWN, density_of, find, titles
from sim.bench.designs import DESIGNS, UNSTRUCTURED
from sim.bench.markdown import svg
from sim.bench.patterns import PATTERNS, zeros
from sim.bench.subjects import NONZERO

_BLUE, _YELLOW, _RED = "#2b6cb0", "#e2a03f", "#d1495b"


def plot(document: dict) -> bytes:
    """The plot as SVG: speed of every design with both kinds of activations; error and storage."""
    own = {kind: find(document, SHOWN, kind)["designs"] for kind in NONZERO}
    names = titles(find(document, SHOWN, "full"), list(DESIGNS))

    def draw(figure: Any) -> None:
        speed, lost = figure.subplots(1, 2, width_ratios=(3, 2))
        _draw_speed(speed, own, names)
        speed.set_title(f"{SHOWN}, {document['multipliers']} multipliers", fontsize=9)
        _draw_errors(lost, own["full"])

    return svg(10, 4.4, draw)


def _draw_speed(axes: Any, own: dict[str, dict], names: list[str]) -> None:
    """Bars, the first design on top."""
    places = range(len(names), 0, -1)
    for shift, colour, (kind, designs) in zip(
        (0.2, -0.2), (_BLUE, _YELLOW), own.items(), strict=True
    ):
        axes.barh(
            [place + shift for place in places],
            [one["speedup"] for one in designs.values()],
            0.38,
            color=colour,
            label=f"{density_of(kind)} of the activations not zero",
        )
    axes.set_yticks(list(places), names)
    axes.set_xscale("log", base=2)
    ticks = [1, 2, 4, 8, 16]
    axes.set_xticks(ticks, map(str, ticks))
    axes.set_xlabel("times as fast as dense")
    axes.legend(loc="upper right", fontsize=7)


def _draw_errors(axes: Any, designs: dict[str, dict]) -> None:
    """A point for each pattern; unstructured ones have one for each machine."""
    patterns = {key: one for key, one in designs.items() if key in PATTERNS}
    axes.scatter(*_points(patterns.values()), color=_BLUE, label="N:M array")
    for one in patterns.values():
        _write(axes, one, one["title"], left=not 2 < one["bits_per_position"] < 6)
    for density in UNSTRUCTURED:
        same = [one for key, one in designs.items() if one["asked_density"] == density]
        same = sorted(
            (one for one in same if one not in patterns.values()),
            key=lambda one: one["bits_per_position"],
        )
        label = "EIE, unstructured" if density == UNSTRUCTURED[0] else None
        axes.plot(*_points(same), "o-", color=_RED, linewidth=0.8, label=label)
        _write(axes, same[0], zeros(density), left=True)
    axes.set_xlim(left=0)
    axes.set_xlabel("stored bits per weight of the dense matrix")
    axes.set_ylabel("relative error, not trained again")
    axes.legend(loc="lower left", fontsize=7)


def _points(some: Iterable[dict]) -> tuple[list[float], list[float]]:
    some = list(some)
    return [one["bits_per_position"] for one in some], [one["error"] for one in some]


def _write(axes: Any, one: dict, text: str, *, left: bool) -> None:
    """A name beside its point."""
    axes.annotate(
        text,
        (one["bits_per_position"], one["error"]),
        xytext=(-5 if left else 5, 2),
        ha="right" if left else "left",
        textcoords="offset points",
        fontsize=6,
    )
