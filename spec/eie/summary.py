"""What is inside an EIE program: dense weights, and a summary."""

from dataclasses import asdict

import numpy as np

from spec.eie.csc import decode
from spec.eie.golden import decode_pass
from spec.eie.program import MEMORIES, Layer, Program, matrix_of, run_bits


def unpack(program: Program) -> dict[str, np.ndarray]:
    """Dense integer weights of every layer, from the memory words. int64, shape (outputs, inputs),
    or (outputs, inputs + hidden) of an LSTM's gates.

    Rows and columns are in the network's order, whatever the array's is. Multiply by the layer's
    ``weight_scale`` for real weights.
    """
    dense = {
        layer.name: np.zeros((layer.outputs, layer.columns(program.config)), np.int64)
        for layer in program.layers
    }
    for _, segment, step in program.passes():
        codes = decode(matrix_of(program.config, segment, step))
        book = step.descriptor.codebook - segment.bases(program.config).codebooks
        rows = program.order(step.layer)[step.first_output : step.first_output + step.outputs]
        columns = _input_order(program, step.layer)
        columns = columns[step.first_input : step.first_input + step.inputs]
        values = segment.codebooks[book].astype(np.int64)
        dense[program.layers[step.layer].name][np.ix_(rows, columns)] = values[codes]
    for layer in program.layers:
        if layer.cell:
            behind_x = np.arange(layer.inputs, dense[layer.name].shape[1] - layer.cell.hidden)
            dense[layer.name] = np.delete(dense[layer.name], behind_x, axis=1)
    return dense


def _input_order(program: Program, number: int) -> np.ndarray:
    """Which column of the network's layer each column of the array's is."""
    layer = program.layers[number]
    columns = np.arange(layer.columns(program.config))
    if number and program.layers[number - 1].cell is None:
        columns[: layer.inputs] = program.order(number - 1)
    return columns


def _columns(layer: Layer) -> int:
    """Inputs, and the state of an LSTM."""
    return layer.inputs + (layer.cell.hidden if layer.cell else 0)


def inspect(program: Program) -> dict:
    """A summary as a JSON-ready dictionary.

    Each layer tells the bits per weight that its entries and its pointers take: entries grow with
    the weights, pointers with columns and PEs, so on small layers these outweigh the rest.
    """
    config = program.config
    layers = []
    for index, layer in enumerate(program.layers):
        passes = [(segment, step) for _, segment, step in program.passes() if step.layer == index]
        entries = pads = entry_bits = pointers = 0
        for segment, step in passes:
            matrix = decode_pass(config, segment, step)
            entries += matrix.entries
            pads += matrix.entries - len(matrix.row)
            entry_bits += matrix.entries * (config.code_bits + run_bits(config, step.descriptor))
            pointers += matrix.work.weights.size + config.pes
        weights = max(1, layer.weights)
        layers.append(
            asdict(layer)
            | {
                "density": layer.weights / (layer.outputs * _columns(layer)),
                "entries": entries,
                "pads": pads,
                "passes": len(passes),
                "run_bits": sorted({run_bits(config, step.descriptor) for _, step in passes}),
                "clusters": sorted({1 << step.descriptor.split for _, step in passes}),
                "entry_bits_per_weight": entry_bits / weights,
                "pointer_bits_per_weight": pointers * config.pointer_bits / weights,
            }
        )
    return {
        "config": config.to_json(),
        "config_digest": config.digest,
        "layers": layers,
        "segments": [
            {"passes": len(segment.passes), "runs": len(segment.runs)}
            | {memory: list(getattr(segment, memory).shape) for memory in MEMORIES}
            for segment in program.segments
        ],
    }


def table(summary: dict) -> str:
    """The summary for people."""
    config = summary["config"]
    lines = [
        f"engine eie, {config['pes']} PEs, configuration {summary['config_digest']}, "
        f"{len(summary['segments'])} segment(s)",
        f"{'layer':<16}{'size':>14}{'density':>9}{'weights':>10}{'pads':>9}{'passes':>8}"
        f"{'bits/weight':>13}{'+ pointers':>12}",
    ]
    for layer in summary["layers"]:
        size = f"{layer['inputs']}x{layer['outputs']}"
        lines.append(
            f"{layer['name']:<16}{size:>14}{layer['density']:>9.3f}{layer['weights']:>10}"
            f"{layer['pads']:>9}{layer['passes']:>8}{layer['entry_bits_per_weight']:>13.1f}"
            f"{layer['pointer_bits_per_weight']:>12.1f}"
        )
    return "\n".join(lines)
