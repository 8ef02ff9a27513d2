"""``python -m sw.compress scan MODEL``: how much each layer can lose."""

import argparse
from dataclasses import dataclass
from typing import Any

from spec.errors import UserError
from sw.compress.cli import given
from sw.compress.cli.arguments import numbers
from sw.compress.report_table import align
from sw.compress.scan import Accuracy, Proposal, Scan, propose, scan


@dataclass(frozen=True)
class Outcome:
    """What a scan found, and what it proposes, if it was asked."""

    scan: Scan
    proposal: Proposal | None

    def to_json(self) -> dict[str, Any]:
        return {
            "scan": self.scan.to_json(),
            "proposal": None if self.proposal is None else self.proposal.to_json(),
        }

    def table(self) -> str:
        """Accuracies, a line for each layer and pattern, and the proposal."""
        found = self.scan
        densities = sorted({point.density for point in found.points}, reverse=True)
        rows = [["layer", "weights", "pattern", *(f"{density:g}" for density in densities)]]
        for name, size in found.sizes.items():
            for pattern in found.patterns:
                by_density = {p.density: p for p in found.of(name) if p.pattern == pattern}
                cells = [
                    f"{by_density[one].accuracy:.2%}" if one in by_density else "-"
                    for one in densities
                ]
                rows.append([name, str(size), pattern, *cells])
        lines = [f"accuracy with one layer pruned (dense {found.dense:.2%})", *align(rows)]
        if self.proposal is None:
            return "\n".join(lines)
        own = self.proposal
        dense = ["1", "-"]
        rows = [["layer", "density", "pattern"]]
        for name in found.sizes:
            chosen = [f"{own.densities[name]:g}", own.patterns[name]]
            rows.append([name, *(chosen if name in own.densities else dense)])
        told = f"{own.kept} of {own.total} weights ({own.density:.2%})"
        lines += ["", f"proposed: {told}, predicted accuracy {own.accuracy:.2%}", *align(rows)]
        return "\n".join(lines)


def run(arguments: argparse.Namespace) -> Outcome:
    """Do what the command line says."""
    for path, endings in (
        (arguments.output, (".json",)),
        (arguments.csv, (".csv",)),
        (arguments.plot, (".svg", ".png", ".pdf")),
    ):
        given.check_output(path, endings)
    if arguments.data is None:
        raise UserError("a scan measures accuracies: give --data")
    own = given.network(arguments)
    data = given.pictures(arguments, own)
    assert data is not None
    found = scan(
        own.model,
        Accuracy(data.test_images, data.test_labels),
        pattern=arguments.pattern or "unstructured",
        criterion=arguments.criterion,
        densities=numbers("densities", arguments.densities),
        layers=None if arguments.layers is None else arguments.layers.split(","),
        batches=given.calibration(arguments, data),
        path=arguments.output,
        workers=arguments.workers,
    )
    if arguments.csv is not None:
        found.write_csv(arguments.csv)
    if arguments.plot is not None:
        # Only here matplotlib is needed.
        from sw.compress.scan.plot import plot

        plot(found, arguments.plot)
    proposal = None
    if arguments.density is not None or arguments.loss is not None:
        proposal = propose(found, density=arguments.density, loss=arguments.loss)
    return Outcome(found, proposal)
