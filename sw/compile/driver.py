"""The compiler's steps, one after another, each followed by its check.

capture, fold → calibrate → recover shared weights → quantize weights and activations → tile → pack.
Whatever reorders rows or balances PEs belongs between quantize and tile, where a layer is codes and
integers and its outputs do not have places yet.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.export import ExportedProgram
from tqdm import tqdm

from spec.eie.config import EieConfig
from spec.eie.program import Program
from spec.errors import UserError
from sw.compile.calibrate import HEADROOM, check_samples, flatten_samples, measure
from sw.compile.capture import capture
from sw.compile.check import (
    Log,
    Step,
    check_program,
    quantize_inputs,
    run_integer_weights,
    run_integers,
    run_shared,
)
from sw.compile.network import Network
from sw.compile.pack import pack_network
from sw.compile.quantize import IntegerLayer, quantize_network
from sw.compile.share import SharedLayer, recover
from sw.compile.tile import Tile, tile_network

CHECK_SAMPLES = 32


@dataclass(frozen=True)
class Result:
    """What the compiler made.

    Attributes
    ----------
    program : Program
        For :func:`spec.image.write`.
    layers : list of dict
        A JSON-ready summary of each layer.
    steps : list of Step
        The batch after each step.
    notes : tuple of str
        What was assumed about the network.
    """

    program: Program
    layers: list[dict[str, Any]]
    steps: list[Step]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "config": self.program.config.to_json(),
            "config_digest": self.program.config.digest,
            "segments": len(self.program.segments),
            "layers": self.layers,
            "steps": [asdict(step) for step in self.steps],
            "notes": list(self.notes),
        }


def compile_network(
    model: Network | nn.Module | ExportedProgram | Mapping[str, torch.Tensor] | str | Path,
    calibration: np.ndarray,
    config: EieConfig,
    *,
    activation: str = "relu",
    headroom: float = HEADROOM,
    rescale: bool = True,
    check_count: int = CHECK_SAMPLES,
    progress: bool = False,
) -> Result:
    """Compile a network for an array.

    Parameters
    ----------
    model : Network, nn.Module, ExportedProgram, state dict, or path
        See :func:`sw.compile.capture.capture`.
    calibration : floats or uint8, shape (samples, ...)
        Inputs to measure activation ranges on, and to check every step with.
    config : EieConfig
    activation : "relu" or "none"
        For state dicts: what stands between layers.
    headroom : float
        Part by which activations may exceed what calibration saw.
    rescale : bool
        Give a layer's weights fewer bits rather than refuse it when its sums could overflow.
    check_count : int
        Samples to run on the packed image; the steps before it run all.
    progress : bool
        Show the step at work, and the time, on stderr.

    Raises
    ------
    UserError
        If the network, the samples or an option cannot be taken.
    """
    if check_count < 1:
        raise UserError(f"check samples = {check_count}, must be at least 1")
    samples = check_samples(calibration)
    log = Log()
    with _stages(progress) as bar:
        stage = bar.set_description_str
        stage("capture")
        captured = isinstance(model, Network)
        network = model if captured else capture(model, samples, activation=activation)
        batch = flatten_samples(samples, network.inputs)

        stage("calibrate")
        ranges, folded = measure(network.layers, batch, headroom)
        original = folded if network.run is None else network.run(batch)
        if not np.isfinite(original).all():
            raise UserError("the network's own outputs on the calibration samples are not finite")
        log.add("network", original)
        log.add("folded", folded, _notes_of_folding(network))

        stage("recover shared weights")
        shared = [recover(layer, config) for layer in network.layers]
        log.add("shared", run_shared(shared, batch), _notes_of_sharing(shared))

        stage("quantize")
        layers = quantize_network(shared, ranges, config, rescale=rescale)
        notes = _notes_of_quantization(layers, config)
        log.add("integer weights", run_integer_weights(layers, batch), notes)
        integers = quantize_inputs(layers, batch, config)
        scale = layers[-1].output_scale
        log.add("integer activations", run_integers(layers, integers, config) * scale)

        stage("tile and pack")
        segments = tile_network(layers, config)
        program = pack_network(layers, segments, config)

        stage("check the image")
        outputs = check_program(program, layers, integers[:check_count], bar.update)
        log.add("packed image", outputs * scale, ("equal to the integers before, bit for bit",))
    return Result(program, _summaries(shared, layers, segments), log.steps, network.notes)


@contextmanager
def _stages(progress: bool) -> Iterator[tqdm]:
    """On a terminal, a line with the step at work and the time since the beginning."""
    hidden = None if progress else True
    with tqdm(bar_format="{desc} [{elapsed}]", leave=False, disable=hidden) as bar:
        yield bar


def _notes_of_folding(network: Network) -> list[str]:
    return [
        f"{layer.name}: absorbed {', '.join(layer.folded)}"
        for layer in network.layers
        if layer.folded
    ]


def _notes_of_sharing(layers: Sequence[SharedLayer]) -> list[str]:
    return [f"{layer.name}: {len(layer.values) - 1} values besides zero" for layer in layers]


def _notes_of_quantization(layers: Sequence[IntegerLayer], config: EieConfig) -> list[str]:
    notes = []
    for layer in layers:
        if layer.weight_bits < config.weight_bits:
            bits = f"{layer.weight_bits} of {config.weight_bits} bits"
            notes.append(f"{layer.name}: weights rescaled to {bits}")
        if layer.vanished:
            notes.append(f"{layer.name}: {layer.vanished} weights rounded to zero")
    return notes


def _summaries(
    shared: Sequence[SharedLayer],
    layers: Sequence[IntegerLayer],
    segments: Sequence[Sequence[Tile]],
) -> list[dict[str, Any]]:
    """One JSON-ready dictionary per layer."""
    summaries = []
    for number, (before, layer) in enumerate(zip(shared, layers, strict=True)):
        tiles = [tile for tiles in segments for tile in tiles if tile.layer == number]
        strips = [tile.strip.csc for tile in tiles if tile.drains]
        weights = int(np.count_nonzero(layer.codes))
        entries = sum(len(csc.code) for csc in strips)
        summaries.append(
            {
                "name": layer.name,
                "inputs": layer.inputs,
                "outputs": layer.outputs,
                "relu": layer.relu,
                "weights": weights,
                "density": weights / layer.codes.size,
                "distinct": len(before.values) - 1,
                "entries": entries,
                "pads": entries - weights,
                "passes": len(tiles),
                "input_scale": layer.input_scale,
                "weight_scale": layer.weight_scale,
                "output_scale": layer.output_scale,
                "multiplier": layer.multiplier,
                "shift": layer.shift,
                "weight_bits": layer.weight_bits,
                "vanished": layer.vanished,
                "lowest_sum": layer.sums[0],
                "highest_sum": layer.sums[1],
                "sum_bits": layer.sum_bits,
            }
        )
    return summaries
