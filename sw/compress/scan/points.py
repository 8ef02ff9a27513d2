"""What a scan found, and its file."""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from spec.errors import UserError
from spec.files import read_file, write_file


@dataclass(frozen=True)
class Point:
    """One layer pruned, all others as they were.

    Attributes
    ----------
    layer, pattern : str
    density : float
        Share of the layer's weights that was asked for.
    kept : int
        Weights of the layer that stayed.
    accuracy : float
        What was measured of the network.
    """

    layer: str
    pattern: str
    density: float
    kept: int
    accuracy: float


@dataclass(frozen=True)
class Scan:
    """Every layer of a network, at several densities.

    Attributes
    ----------
    network : str
        Digest of the network and of the calibration data.
    criterion : str
    patterns : list of str
    dense : float
        What was measured of the network as it was given.
    sizes : dict of layer name to int
        Weights of each layer.
    points : list of Point
        Layer by layer, as the densities were asked for.
    """

    network: str
    criterion: str
    patterns: list[str]
    dense: float
    sizes: dict[str, int]
    points: list[Point] = field(default_factory=list)

    def of(self, layer: str) -> list[Point]:
        """The points of one layer."""
        return [point for point in self.points if point.layer == layer]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def write(self, path: Path | str) -> Path:
        """Write it as JSON, for :func:`read`: the old file stays, or the new one is whole."""
        return write_file(path, (json.dumps(self.to_json(), indent=1) + "\n").encode())

    def write_csv(self, path: Path | str) -> Path:
        """Write a table with a line for each point."""
        text = io.StringIO()
        names = [one.name for one in fields(Point)]
        table = csv.DictWriter(text, [*names, "loss"], lineterminator="\n")
        table.writeheader()
        for point in self.points:
            table.writerow(asdict(point) | {"loss": self.dense - point.accuracy})
        return write_file(path, text.getvalue().encode())


def read(path: Path | str) -> Scan:
    """A scan from its JSON file, finished or not.

    Raises
    ------
    UserError
        If it is none.
    """
    data = read_file(path)
    try:
        document = json.loads(data)
        points = [_checked(Point(**point)) for point in document.pop("points")]
        scan = Scan(**document, points=points)
        if not isinstance(scan.sizes, dict) or {p.layer for p in points} - set(scan.sizes):
            raise ValueError("sizes")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: no scan's JSON file, or a damaged one") from error
    return scan


def _checked(point: Point) -> Point:
    kinds: Mapping[str, Any] = {"layer": str, "pattern": str, "kept": int}
    for one in fields(Point):
        if not isinstance(getattr(point, one.name), kinds.get(one.name, (int, float))):
            raise TypeError(one.name)
    return point
