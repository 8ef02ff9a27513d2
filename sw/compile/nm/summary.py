"""What is told of each layer."""

from collections.abc import Sequence
from typing import Any

from spec.errors import UserError
from spec.nm.config import DENSE, NmConfig
from spec.nm.program import Program
from sw.compile.network import FloatLayer
from sw.compile.nm.chain import IntegerLayer
from sw.compile.nm.forms import Form, predict


def tokens_of(layer: FloatLayer, batch_size: int) -> int:
    """Tokens that some images make."""
    return batch_size * (layer.windows.tokens if layer.windows else 1)


def notes_of_quantization(layers: Sequence[IntegerLayer], config: NmConfig) -> list[str]:
    """What had to give way."""
    notes = []
    for layer in layers:
        bits = layer.integer.weight_bits
        fewer = int((bits < config.weight_bits).sum())
        if fewer:
            notes.append(
                f"{layer.name}: weights of {fewer} rows rescaled to as few as {bits.min()} of "
                f"{config.weight_bits} bits"
            )
        if layer.integer.vanished:
            notes.append(f"{layer.name}: {layer.integer.vanished} weights rounded to zero")
    return notes


def _dense_cycles(program: Program, source: FloatLayer, tokens: int) -> int | None:
    """What it would take with all weights, or None if the array does not hold it so."""
    try:
        return predict(program.config, source.weight != 0, DENSE, None, tokens)[0]
    except UserError:
        return None


def summarize(
    program: Program, number: int, layer: IntegerLayer, form: Form, batch_size: int
) -> dict[str, Any]:
    """One layer, JSON-ready; where names are those of :func:`spec.image.inspect`, values are, too.
    Cycles are those of an image if ``batch_size`` of them run together."""
    packed, integer, source = program.layers[number], layer.integer, layer.source
    tokens = tokens_of(source, batch_size)
    dense = _dense_cycles(program, source, tokens)
    bits = form.words * program.config.load_bits
    return {
        "name": layer.name,
        "kind": "convolution" if source.windows else "linear",
        "inputs": packed.inputs,
        "outputs": packed.outputs,
        "relu": packed.relu,
        "pooled": packed.pool is not None,
        "mode": packed.mode,
        "gather": packed.gather,
        "channels_last": form.channels_last,
        "weights": packed.weights,
        "density": packed.weights / (packed.inputs * packed.outputs),
        "parts": packed.parts,
        "stored": bits / (packed.inputs * packed.outputs * program.config.weight_bits),
        "batch": batch_size,
        "cycles": form.cycles / batch_size,
        "dense_cycles": None if dense is None else dense / batch_size,
        "weight_bits": int(integer.weight_bits.min()),
        "vanished": integer.vanished,
        "lowest_sum": integer.sums[0],
        "highest_sum": integer.sums[1],
        "sum_bits": integer.sum_bits,
        "input_scale": [float(layer.input_scales.min()), float(layer.input_scales.max())],
        "output_scale": [
            float(integer.output_scales.min()),
            float(integer.output_scales.max()),
        ],
    }
