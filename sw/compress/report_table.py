"""The report as text."""

from collections.abc import Sequence
from textwrap import fill
from typing import TYPE_CHECKING

from sw.compress.stages import STAGES

if TYPE_CHECKING:
    from sw.compress.predict import LayerCycles
    from sw.compress.report import Report

WIDTH = 100
NONE = "-"


def table(report: "Report") -> str:
    """Bits per weight at each stage; bytes in each form, and cycles; reasons."""
    lines = ["bits per weight", *align(_stages(report))]
    lines += ["", "bytes of the weights as stored", *align(_forms(report))]
    if report.prediction:
        lines += ["", "predicted cycles for an image", *align(_cycles(report))]
    lines += ["", "why it is not smaller, or faster"]
    lines += [
        fill(reason, WIDTH, initial_indent="- ", subsequent_indent="  ")
        for reason in report.reasons
    ]
    return "\n".join(lines)


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Cells as lines: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        )
        for row in rows
    ]


def _stages(report: "Report") -> list[list[str]]:
    rows = [["layer", "weights", "kept", "values", *STAGES]]
    for layer in report.layers:
        bits = [
            f"{layer.bits_per_weight(stage):.2f}" if stage in layer.stages.bits else NONE
            for stage in STAGES
        ]
        values = NONE if layer.stages.values is None else str(layer.stages.values)
        rows.append([layer.name, str(layer.weights), f"{layer.density:.2%}", values, *bits])
    whole = [f"{8 * report.bytes(stage) / report.parameters:.2f}" for stage in STAGES]
    rows.append(["with others", str(report.parameters), "", "", *whole])
    rows.append(["smaller by", "", "", "", *(f"{report.ratio(stage):.1f}x" for stage in STAGES)])
    return rows


def _forms(report: "Report") -> list[list[str]]:
    rows = [["layer", "fp32", "int8", "nm", "pattern", "eie", "pads", "runs", "imbalance", "file"]]
    for layer in report.layers:
        eie = [NONE] * 4
        if layer.eie:
            form = layer.eie
            eie = [f"{form.bytes:.0f}", str(form.pads), str(form.run_bits), f"{form.imbalance:.2f}"]
        pattern = "dense" if layer.nm.is_dense else layer.nm.pattern
        rows.append(
            [
                layer.name,
                f"{layer.bits('dense') / 8:.0f}",
                str(layer.int8_bytes),
                f"{layer.nm.bytes:.0f}",
                pattern,
                *eie,
                f"{layer.bits('stored') / 8:.0f}",
            ]
        )
    return rows


def _cycles(report: "Report") -> list[list[str]]:
    prediction = report.prediction
    assert prediction is not None
    rows = [["layer", "engine", "cycles", "dense", "faster by"]]
    rows += [_cycles_row(layer) for layer in prediction.layers]
    total = [_number(prediction.cycles), _number(prediction.dense_cycles)]
    rows.append(["all", "", *total, _times(prediction.ratio)])
    return rows


def _cycles_row(layer: "LayerCycles") -> list[str]:
    cycles = [_number(layer.cycles), _number(layer.dense_cycles)]
    return [layer.name, layer.engine, *cycles, _times(layer.ratio)]


def _number(cycles: float | None) -> str:
    return NONE if cycles is None else f"{cycles:.1f}"


def _times(ratio: float | None) -> str:
    return NONE if ratio is None else f"{ratio:.2f}x"
