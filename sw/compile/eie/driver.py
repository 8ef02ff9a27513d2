"""The compiler's steps, one after another, each followed by its check.

capture, fold → calibrate → recover shared weights → quantize weights and activations → tile → pack.
What lives in calibration decides how rows are balanced and arrays divided: in tiling, where a layer
is codes and integers and its outputs do not have places yet.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from spec.eie.config import EieConfig
from spec.eie.program import Program
from spec.numbers import quantize
from sw.compile.calibrate import HEADROOM, Ranges
from sw.compile.eie.check import check_program, integer_vectors
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
from sw.compile.eie.share import SharedLayer, SharedLstm, recover, recover_lstm, refuse_windows
from sw.compile.eie.tile import tile_network
from sw.compile.network import FloatLayer, FloatLstm
from sw.compile.prepare import Model, check_count_of, prepare
from sw.compile.result import Result as AnyResult
from sw.compile.steps import CHECK_SAMPLES, Log, stages


class Result(AnyResult[Program]):
    """What the compiler made; see :class:`sw.compile.result.Result`."""

    def to_json(self) -> dict[str, Any]:
        return super().to_json() | {"segments": len(self.program.segments)}


def compile_network(
    model: Model,
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
    model : one of :data:`sw.compile.prepare.Model`
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
    check_options(config, clusters=clusters, check_count=check_count)
    with stages(progress) as bar:
        prepared = prepare(model, calibration, bar, activation=activation, headroom=headroom)
        program, summaries = compile_layers(
            prepared.network.layers,
            prepared.ranges,
            prepared.batch,
            config,
            prepared.log,
            bar,
            rescale=rescale,
            balance=balance,
            clusters=clusters,
            check_count=check_count,
        )
    return Result(program, summaries, prepared.log.steps, prepared.network.notes)


def check_options(config: EieConfig, *, clusters: int | None, check_count: int) -> None:
    """Refuse options before any work."""
    check_count_of(check_count)
    check_clusters(clusters, config)


def compile_layers(
    layers: Sequence[FloatLayer | FloatLstm],
    ranges: Ranges,
    batch: np.ndarray,
    config: EieConfig,
    log: Log,
    bar: tqdm,
    *,
    rescale: bool = True,
    balance: bool = True,
    clusters: int | None = None,
    check_count: int = CHECK_SAMPLES,
) -> tuple[Program, list[dict[str, Any]]]:
    """A program of layers that are captured and measured, and a summary of each.

    Parameters
    ----------
    batch : float64
        What the first layer takes.
    log : Log
        Ends with the outputs that the layers themselves have; what follows is added.
    """
    stage = bar.set_description_str
    stage("recover shared weights")
    shared = [_recover(layer, config) for layer in layers]
    log.add("shared", run_shared_recurrent(shared, batch), _notes_of_sharing(shared))

    stage("quantize")
    integer = quantize_recurrent(shared, ranges, config, rescale=rescale)
    notes = _notes_of_quantization(integer, config)
    log.add("integer weights", run_integer_weights_recurrent(integer, batch), notes)
    integers = quantize(batch, integer[0].input_scale, config.act_bits)
    scale = integer[-1].output_scale
    log.add("integer activations", run_integers_recurrent(integer, integers, config) * scale)

    stage("tile and pack")
    stored = [as_stored(layer, config) for layer in integer]
    plain = [layer for layer in integer if isinstance(layer, IntegerLayer)]
    recurrent = len(plain) < len(integer)
    activity = None if recurrent else _activity(plain, integers, config)
    tiling = tile_network(stored, config, activity=activity, balance=balance, clusters=clusters)
    program = pack_network(stored, tiling, config)

    stage("check the image")
    some = integers[:check_count]
    if recurrent:
        outputs = check_recurrent(program, integer, some, bar.update)
    else:
        outputs = check_program(program, plain, some, bar.update)
    log.add("packed image", outputs * scale, ("equal to the integers before, bit for bit",))
    divided = zip(shared, integer, stored, tiling.divisions, strict=True)
    return program, [_summarize(*each) for each in divided]


def _recover(layer: FloatLayer | FloatLstm, config: EieConfig) -> SharedLayer | SharedLstm:
    refuse_windows(layer)
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
