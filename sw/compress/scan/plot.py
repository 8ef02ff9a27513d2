"""A scan as a picture. Needs matplotlib, and nothing else does."""

import io
from pathlib import Path

from spec.errors import UserError
from spec.files import write_file
from sw.compress.saving import check_suffix
from sw.compress.scan.points import Scan

FORMS = (".svg", ".png", ".pdf")


def plot(scan: Scan, path: Path | str) -> Path:
    """Draw accuracy over density, a line for each layer and pattern, into a file.

    Equal scans give equal files.
    """
    check_suffix(path, FORMS)
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(
            "plots are drawn by the package matplotlib, which is not installed: install it, or "
            "take the CSV table"
        ) from None
    form = Path(path).suffix[1:]
    with rc_context({"svg.hashsalt": "skipstone", "font.size": 9}):
        figure = Figure(figsize=(7, 4.5), layout="constrained")
        axes = figure.add_subplot()
        for name in scan.sizes:
            for pattern in scan.patterns:
                points = sorted(
                    (point.density, point.accuracy)
                    for point in scan.of(name)
                    if point.pattern == pattern
                )
                if points:
                    several = f", {pattern}" if len(scan.patterns) > 1 else ""
                    axes.plot(*zip(*points, strict=True), marker=".", label=f"{name}{several}")
        axes.axhline(scan.dense, color="grey", linewidth=0.8, linestyle=":")
        axes.set_xlabel("density of the layer")
        axes.set_ylabel("accuracy of the network")
        axes.set_title(f"{', '.join(scan.patterns)} by {scan.criterion}")
        axes.legend(fontsize="small")
        picture = io.BytesIO()
        nothing = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}[form]
        figure.savefig(picture, format=form, metadata=nothing)
    return write_file(path, picture.getvalue())
