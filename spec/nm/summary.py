"""What is inside an N:M program: dense weights, and a summary."""

from dataclasses import asdict

import numpy as np

from spec.nm.golden import Decoded
from spec.nm.program import Program
from spec.nm.strips import sections


def unpack(program: Program) -> dict[str, np.ndarray]:
    """Dense integer weights of every layer, from the words. int64, shape (outputs, inputs), in the
    network's order; of a convolution that of ``weight.flatten(1)``.

    Multiply by the output's ``scales`` and divide by the input's ``input_scales`` for real weights.
    """
    dense = {}
    for number, layer in enumerate(program.layers):
        found = np.empty((layer.outputs, layer.inputs), np.int64)
        columns = layer.unfold.columns if layer.unfold else np.arange(layer.inputs)
        rows = Decoded(program, number).dense[: layer.outputs]
        found[np.ix_(program.order(number), columns)] = rows
        dense[layer.name] = found
    return dense


def inspect(program: Program) -> dict:
    """A summary as a JSON-ready dictionary.

    Each layer tells the bits of its stored form by what they hold, and ``stored``, all of them as a
    part of the dense matrix's bits.
    """
    layers = []
    for number, layer in enumerate(program.layers):
        bits = _bits(program, number)
        dense = layer.inputs * layer.outputs * program.config.weight_bits
        steps = program.steps(number)
        layers.append(
            asdict(layer)
            | {
                "density": layer.weights / (layer.inputs * layer.outputs),
                "strips": len(steps),
                "steps": int(steps.sum()),
                "bits": bits,
                "stored": sum(bits.values()) / dense,
            }
        )
    return {
        "config": program.config.to_json(),
        "config_digest": program.config.digest,
        "chained": program.chained,
        "layers": layers,
    }


def _bits(program: Program, number: int) -> dict[str, int]:
    """Bits of a layer's words, by section."""
    config, layer = program.config, program.layers[number]
    bits: dict[str, int] = dict.fromkeys(("header", "parameters", "values", "places", "offsets"), 0)
    planes = {"places": layer.pattern.place_bits}
    for steps in program.steps(number).tolist():
        for name, words in sections(config, layer.pattern, layer.gather, steps).items():
            bits[name] += words * planes.get(name, 1) * config.load_bits
    return bits


def table(summary: dict) -> str:
    """The summary for people."""
    config = summary["config"]
    lines = [
        f"engine nm, {config['rows']} x {config['columns']} MAC units of "
        f"{config['n'] * config['groups']} multipliers, configuration {summary['config_digest']}",
        f"{'layer':<16}{'size':>14}{'pattern':>9}{'inputs':>9}{'density':>9}{'weights':>10}"
        f"{'strips':>8}{'steps':>8}{'bits/weight':>13}{'of dense':>10}",
    ]
    for layer in summary["layers"]:
        size = f"{layer['inputs']}x{layer['outputs']}"
        per_weight = sum(layer["bits"].values()) / max(1, layer["weights"])
        lines.append(
            f"{layer['name']:<16}{size:>14}{layer['mode']:>9}"
            f"{'gathered' if layer['gather'] else 'all':>9}{layer['density']:>9.3f}"
            f"{layer['weights']:>10}{layer['strips']:>8}{layer['steps']:>8}{per_weight:>13.1f}"
            f"{layer['stored']:>10.1%}"
        )
    return "\n".join(lines)
