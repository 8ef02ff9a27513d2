"""The compiler's steps, one after another, each followed by its check.

capture, fold → calibrate → recover shared weights → quantize weights and activations → tile → pack.
What lives in calibration decides how rows are balanced and arrays divided: in tiling, where a layer
is codes and integers and its outputs do not have places yet.
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
from spec.numbers import quantize
from sw.compile.calibrate import (
    HEADROOM,
    check_samples,
    flatten_samples,
    measure,
    sequence_samples,
)
from sw.compile.capture import capture
from sw.compile.eie.check import Log, Step, check_program, integer_vectors
from sw.compile.eie.check_lstm import (
    check_recurrent,
    run_integer_weights_recurrent,
    run_integers_recurrent,
    run_shared_recurrent,
)
from sw.compile.eie.divide import Division, check_clusters
from sw.compile.eie.gates import StoredLayer, as_stored
from sw.compile.eie.integer_lstm import IntegerLstm
from sw.compile.eie.pack import pack_network
from sw.compile.eie.quantize import IntegerLayer
from sw.compile.eie.quantize_lstm import quantize_recurrent
from sw.compile.eie.share import SharedLayer, SharedLstm, recover, recover_lstm
from sw.compile.eie.tile import tile_network
from sw.compile.network import FloatLayer, FloatLstm, Network

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
    balance: bool = True,
    clusters: int | None = None,
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
    balance : bool
        Let rows change places so that all PEs have the same work on the samples.
    clusters : int or None
        Clusters that every layer divides the array into; None chooses for each layer.
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
    check_clusters(clusters, config)
    samples = check_samples(calibration)
    log = Log()
    with _stages(progress) as bar:
        stage = bar.set_description_str
        stage("capture")
        captured = isinstance(model, Network)
        network = model if captured else capture(model, samples, activation=activation)
        recurrent = network.recurrent
        if recurrent:
            batch = sequence_samples(samples, network)
        else:
            batch = flatten_samples(samples, network.inputs)

        stage("calibrate")
        ranges, folded = measure(network.layers, batch, headroom)
        original = folded if network.run is None else network.run(batch)
        if not np.isfinite(original).all():
            raise UserError("the network's own outputs on the calibration samples are not finite")
        log.add("network", original)
        log.add("folded", folded, _notes_of_folding(network))

        stage("recover shared weights")
        shared = [_recover(layer, config) for layer in network.layers]
        log.add("shared", run_shared_recurrent(shared, batch), _notes_of_sharing(shared))

        stage("quantize")
        layers = quantize_recurrent(shared, ranges, config, rescale=rescale)
        notes = _notes_of_quantization(layers, config)
        log.add("integer weights", run_integer_weights_recurrent(layers, batch), notes)
        integers = quantize(batch, layers[0].input_scale, config.act_bits)
        scale = layers[-1].output_scale
        log.add("integer activations", run_integers_recurrent(layers, integers, config) * scale)

        stage("tile and pack")
        stored = [as_stored(layer, config) for layer in layers]
        plain = [layer for layer in layers if isinstance(layer, IntegerLayer)]
        activity = None if recurrent else _activity(plain, integers, config)
        tiling = tile_network(stored, config, activity=activity, balance=balance, clusters=clusters)
        program = pack_network(stored, tiling, config)

        stage("check the image")
        some = integers[:check_count]
        if recurrent:
            outputs = check_recurrent(program, layers, some, bar.update)
        else:
            outputs = check_program(program, plain, some, bar.update)
        log.add("packed image", outputs * scale, ("equal to the integers before, bit for bit",))
    divided = zip(shared, layers, stored, tiling.divisions, strict=True)
    summaries = [_summarize(*each) for each in divided]
    return Result(program, summaries, log.steps, network.notes)


@contextmanager
def _stages(progress: bool) -> Iterator[tqdm]:
    """On a terminal, a line with the step at work and the time since the beginning."""
    hidden = None if progress else True
    with tqdm(bar_format="{desc} [{elapsed}]", leave=False, disable=hidden) as bar:
        yield bar


def _recover(layer: FloatLayer | FloatLstm, config: EieConfig) -> SharedLayer | SharedLstm:
    if isinstance(layer, FloatLstm):
        return recover_lstm(layer, config)
    return recover(layer, config)


def _activity(
    layers: Sequence[IntegerLayer], integers: np.ndarray, config: EieConfig
) -> list[np.ndarray]:
    """Which inputs of each layer are not zero. States of an LSTM hardly ever are; so this is only
    for feed-forward networks."""
    *vectors, _ = integer_vectors(layers, integers, config)
    return [vector != 0 for vector in vectors]


def _notes_of_folding(network: Network) -> list[str]:
    return [
        f"{layer.name}: absorbed {', '.join(layer.folded)}"
        for layer in network.layers
        if layer.folded
    ]


def _notes_of_sharing(layers: Sequence[SharedLayer | SharedLstm]) -> list[str]:
    return [
        f"{part.name}: {len(part.values) - 1} values besides zero"
        for layer in layers
        for part in _parts(layer)
    ]


def _parts(layer: SharedLayer | SharedLstm) -> list[SharedLayer]:
    """What has a codebook of its own."""
    return [layer.x, layer.h] if isinstance(layer, SharedLstm) else [layer]


def _notes_of_quantization(
    layers: Sequence[IntegerLayer | IntegerLstm], config: EieConfig
) -> list[str]:
    notes = []
    for layer in layers:
        if layer.weight_bits < config.weight_bits:
            bits = f"{layer.weight_bits} of {config.weight_bits} bits"
            notes.append(f"{layer.name}: weights rescaled to {bits}")
        if layer.vanished:
            notes.append(f"{layer.name}: {layer.vanished} weights rounded to zero")
    return notes


def _summarize(
    before: SharedLayer | SharedLstm,
    layer: IntegerLayer | IntegerLstm,
    stored: StoredLayer,
    division: Division,
) -> dict[str, Any]:
    """One layer, JSON-ready; of an LSTM, its gates."""
    weights = int(np.count_nonzero(stored.codes))
    parts = _parts(before)
    return {
        "name": layer.name,
        "inputs": layer.inputs,
        "outputs": stored.outputs,
        "hidden": stored.cell.hidden if stored.cell else None,
        "relu": stored.relu,
        "weights": weights,
        "density": weights / sum(part.codes.size for part in parts),
        "distinct": max(len(part.values) for part in parts) - 1,
        **_summarize_storage(division, weights),
        "input_scale": stored.input_scale,
        "weight_scale": stored.weight_scale,
        "output_scale": stored.output_scale,
        "multiplier": layer.multiplier,
        "shift": layer.shift,
        "weight_bits": layer.weight_bits,
        "vanished": layer.vanished,
        "lowest_sum": layer.sums[0],
        "highest_sum": layer.sums[1],
        "sum_bits": layer.sum_bits,
    }


def _summarize_storage(division: Division, weights: int) -> dict[str, Any]:
    """What a layer takes on the array; where names are those of :func:`spec.image.inspect`, values
    are, too."""
    tiles, config = division.tiles, division.strips[0].config
    entries = sum(len(tile.csc.code) for tile in tiles)
    run_bits = division.run_bits
    pointer_bits = division.pointer_words * config.pes * config.pointer_bits
    return {
        "entries": entries,
        "pads": entries - weights,
        "lone_pads": int(sum(tile.work.pads.sum() for tile in tiles)),
        "passes": len(tiles),
        "clusters": [division.clusters],
        "run_bits": [run_bits],
        "work_before": division.work_before,
        "work_after": division.work_after,
        "entry_bits_per_weight": entries * (config.code_bits + run_bits) / max(1, weights),
        "pointer_bits_per_weight": pointer_bits / max(1, weights),
    }
