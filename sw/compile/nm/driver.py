"""The compiler for the N:M engine, step by step, each followed by its check.

capture, fold → calibrate → choose each layer's form → quantize → pack.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from spec.errors import UserError
from spec.nm.config import Mode, NmConfig
from spec.nm.program import Program
from spec.numbers import quantize
from sw.compile.calibrate import HEADROOM, Ranges
from sw.compile.network import FloatLayer, FloatLstm
from sw.compile.nm.chain import as_matrices, quantize_chain, run_float, run_integers
from sw.compile.nm.check import check_program
from sw.compile.nm.forms import Form, Gather, best_form, check_gather
from sw.compile.nm.pack import pack_chain
from sw.compile.nm.patterns import AUTO, Pattern, patterns_of
from sw.compile.nm.quantize import Scales, check_scales
from sw.compile.nm.summary import notes_of_quantization, summarize, tokens_of
from sw.compile.prepare import Model, check_count_of, prepare
from sw.compile.result import Result as AnyResult
from sw.compile.steps import CHECK_SAMPLES, Log, stages


class Result(AnyResult[Program]):
    """What the compiler made; see :class:`sw.compile.result.Result`."""


def compile_network(
    model: Model,
    calibration: np.ndarray,
    config: NmConfig,
    *,
    pattern: Pattern = AUTO,
    gather: Gather = "auto",
    scales: Scales = "row",
    batch_size: int = 1,
    activation: str = "relu",
    headroom: float = HEADROOM,
    rescale: bool = True,
    check_count: int = CHECK_SAMPLES,
    progress: bool = False,
) -> Result:
    """Compile a network for an array.

    Parameters
    ----------
    model : one of :data:`sw.compile.prepare.Model`
    calibration : floats or uint8, shape (samples, ...)
        Inputs to measure activation ranges on, and to check every step with.
    config : NmConfig
    pattern : str or mapping
        What the zeros of each layer follow, see :data:`sw.compile.nm.patterns.Pattern`.
    gather : "auto", "on" or "off"
        Whether strips drop inputs that they have no weight for.
    scales : "row" or "tensor"
        What has a weight scale of its own.
    batch_size : int
        Images that are to run together: what forms are chosen for.
    activation : "relu" or "none"
        For state dicts: what stands between layers.
    headroom : float
        Part by which activations may exceed what calibration saw.
    rescale : bool
        Give a row's weights fewer bits rather than refuse it when its sums could overflow.
    check_count : int
        Samples to run on the packed image; the steps before it run all.
    progress : bool
        Show the step at work, and the time, on stderr.

    Raises
    ------
    UserError
        If the network, the samples or an option cannot be taken.
    """
    check_options(
        config, gather=gather, scales=scales, batch_size=batch_size, check_count=check_count
    )
    with stages(progress) as bar:
        prepared = prepare(model, calibration, bar, activation=activation, headroom=headroom)
        program, summaries = compile_layers(
            prepared.network.layers,
            prepared.ranges,
            prepared.batch,
            config,
            prepared.log,
            bar,
            pattern=pattern,
            gather=gather,
            scales=scales,
            batch_size=batch_size,
            rescale=rescale,
            check_count=check_count,
        )
    return Result(program, summaries, prepared.log.steps, prepared.network.notes)


def check_options(
    config: NmConfig, *, gather: str, scales: str, batch_size: int, check_count: int
) -> None:
    """Refuse options before any work."""
    check_count_of(check_count)
    check_gather(gather, config)
    check_scales(scales)
    if batch_size < 1:
        raise UserError(f"batch = {batch_size}, at least 1 image must run")


def compile_layers(
    layers: Sequence[FloatLayer | FloatLstm],
    ranges: Ranges,
    batch: np.ndarray,
    config: NmConfig,
    log: Log,
    bar: tqdm,
    *,
    pattern: Pattern = AUTO,
    gather: Gather = "auto",
    scales: Scales = "row",
    batch_size: int = 1,
    rescale: bool = True,
    check_count: int = CHECK_SAMPLES,
) -> tuple[Program, list[dict[str, Any]]]:
    """A program of layers that are captured and measured, and a summary of each.

    Parameters
    ----------
    batch : float64, shape (samples, inputs)
        What the first layer takes.
    log : Log
        Ends with the outputs that the layers themselves have; what follows is added.
    """
    stage = bar.set_description_str
    stage("choose forms")
    plain = as_matrices(layers)
    modes = patterns_of(pattern, [layer.name for layer in plain], config)
    forms = [form_of(layer, config, modes[layer.name], gather, batch_size) for layer in plain]

    stage("quantize")
    integer = quantize_chain(plain, ranges, config, scales=scales, rescale=rescale)
    log.add("integer weights", run_float(integer, batch), notes_of_quantization(integer, config))
    integers = quantize(batch, integer[0].scales_of_values, config.act_bits)
    real = integer[-1].output_scales
    log.add("integer activations", run_integers(integer, integers, config) * real)

    stage("pack")
    program = pack_chain(integer, forms, config)

    stage("check the image")
    outputs = check_program(program, integer, integers[:check_count], bar.update)
    log.add("packed image", outputs * real, ("equal to the integers before, bit for bit",))
    summaries = [
        summarize(program, number, layer, form, batch_size)
        for number, (layer, form) in enumerate(zip(integer, forms, strict=True))
    ]
    return program, summaries


def form_of(
    layer: FloatLayer, config: NmConfig, pattern: Mode | None, gather: Gather, batch_size: int
) -> Form:
    """The best form of a layer for some images at a time."""
    return best_form(
        config,
        layer.name,
        layer.weight != 0,
        tokens=tokens_of(layer, batch_size),
        windows=layer.windows,
        pattern=pattern,
        gather=gather,
    )
