"""Whether an image can run on an array of its own configuration.

Whoever reads or loads an image asks here first; what passes runs on every executor, alike.
"""

import math
from itertools import pairwise

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.descriptor import cluster_columns
from spec.eie.program import MEMORIES, Pass, Program, Run, Segment, run_bits
from spec.errors import UserError
from spec.numbers import signed_bounds


def check_fits(program: Program) -> None:
    """Refuse an image whose layers, memories, values, passes or slices no such array could run.

    What depends on the matrices' contents is left to :func:`spec.eie.golden.decode_pass`.
    """
    _check_layers(program)
    for number, segment in enumerate(program.segments):
        try:
            _check_memories(program.config, segment)
            _check_passes(program, segment)
        except UserError as error:
            raise UserError(
                f"the image's segment {number} is not for its configuration: {error}"
            ) from None
    _check_steps(program)
    _check_fetches(program)
    _check_sums(program)


def _check_layers(program: Program) -> None:
    """There are some, with names of their own, and sizes and scales that mean something."""
    names = [layer.name for layer in program.layers]
    if not names or not program.segments:
        raise UserError(f"the image has {len(names)} layers and {len(program.segments)} segments")
    if len(set(names)) < len(names):
        raise UserError(f"layers share a name: {', '.join(names)}")
    if program.orders and len(program.orders) != len(program.layers):
        raise UserError(f"{len(program.orders)} orders of outputs for {len(names)} layers")
    for layer, order in zip(program.layers, program.orders, strict=False):
        whole = len(order) == layer.outputs
        if len(order) and not (whole and (np.sort(order) == np.arange(layer.outputs)).all()):
            raise UserError(f"layer {layer.name}: its order names not every output once")
    for before, layer in pairwise(program.layers):
        if layer.inputs != before.results:
            raise UserError(
                f"layer {layer.name} takes {layer.inputs} inputs, "
                f"layer {before.name} makes {before.results} outputs"
            )
    for layer in program.layers:
        scales = (layer.input_scale, layer.weight_scale, layer.output_scale)
        if layer.inputs < 1 or layer.outputs < 1 or layer.weights < 0:
            raise UserError(f"layer {layer.name}: {layer.inputs} inputs, {layer.outputs} outputs")
        if not all(math.isfinite(scale) and scale > 0 for scale in scales):
            raise UserError(f"layer {layer.name}: its scales are {scales}, must be above 0")


def _check_steps(program: Program) -> None:
    """LSTMs stand where a sequence is, and the host has its turn behind each of them."""
    per_step, layers = program.per_step, program.layers
    if not 0 <= per_step <= len(layers) or (program.every_step and per_step != len(layers)):
        raise UserError(
            f"{per_step} of {len(layers)} layers run at every step, every_step is "
            f"{program.every_step}"
        )
    for number, layer in enumerate(layers):
        cell, act_bits = layer.cell, program.config.act_bits
        if cell is None:
            continue
        if number >= per_step or (cell.gates, cell.act_bits) != (layer.outputs, act_bits):
            raise UserError(
                f"layer {layer.name}: an LSTM of {cell.hidden} states of {cell.act_bits} bits "
                f"behind {layer.outputs} outputs of {act_bits} bits, as layer {number} of "
                f"{per_step} that run at every step"
            )
    firsts = []
    for _, run in program.runs():
        used = [step.layer for step in run.passes]
        if not used:
            raise UserError("a run has no passes")
        if any(layers[one].cell for one in used if 0 <= one < used[-1] < len(layers)):
            raise UserError(f"a run goes on behind an LSTM: layers {used}")
        if len({one < per_step for one in used}) > 1:
            raise UserError(f"a run has layers of every step and others: {used}")
        firsts.append(used[0])
    if firsts != sorted(firsts):
        raise UserError(f"runs begin with layers {firsts}, not in order")


def _check_fetches(program: Program) -> None:
    """What the host computes on, or gives out, is fetched as a whole, first outputs first."""
    reached: dict[int, int] = {}
    for _, run in program.runs():
        if run.fetch is None:
            continue
        number, first = run.fetch.layer, run.fetch.first
        if first != reached.get(number, 0):
            name = program.layers[number].name
            raise UserError(f"outputs of layer {name} are fetched from {first} on, out of order")
        reached[number] = first + run.fetch.count
    for number, layer in enumerate(program.layers):
        wanted = number in reached or layer.cell or number + 1 == len(program.layers)
        if wanted and reached.get(number, 0) != layer.outputs:
            raise UserError(
                f"layer {layer.name}: {reached.get(number, 0)} of {layer.outputs} outputs are "
                "fetched"
            )


def _check_sums(program: Program) -> None:
    """No sum is left in an accumulator, where the next image would find it, or is added to under
    another division into clusters."""
    waiting, split = 0, 0
    for _, _, step in program.passes():
        descriptor = step.descriptor
        if waiting and descriptor.split != split:
            raise UserError(
                f"a pass of {1 << descriptor.split} clusters follows one of {1 << split} "
                "whose sums are not drained"
            )
        if not descriptor.drain:
            waiting, split = max(waiting, descriptor.rows), descriptor.split
        elif descriptor.rows >= waiting:
            waiting = 0
    if waiting:
        raise UserError(f"sums of {waiting} rows are never drained")


def _check_memories(config: EieConfig, segment: Segment) -> None:
    """Words and their values against the memories."""
    shapes = {
        "codebooks": (config.codebooks, config.codes, config.weight_bits),
        "biases": (config.pes, config.biases, config.acc_bits),
        "pointers": (config.pes, config.columns, None),
        "lines": (config.pes, config.lines, None),
    }
    for name, (first, words, bits) in shapes.items():
        memory: np.ndarray = getattr(segment, name)
        if memory.dtype != MEMORIES[name] or memory.ndim != 2:
            raise UserError(
                f"{name} are {memory.dtype} of shape {memory.shape}, "
                f"must be {np.dtype(MEMORIES[name])} of two dimensions"
            )
        exact = memory.shape[1] == words if name == "codebooks" else memory.shape[0] == first
        if not exact or memory.shape[0] > first or memory.shape[1] > words:
            raise UserError(f"{name} have shape {memory.shape}, there is room for {(first, words)}")
        if bits and memory.size:
            low, high = signed_bounds(bits)
            if memory.min() < low or memory.max() > high:
                raise UserError(
                    f"{name} reach {memory.min()}...{memory.max()}, {bits} bits hold {low}...{high}"
                )
    if segment.codebooks.shape[0] and segment.codebooks[:, 0].any():
        raise UserError("a codebook does not begin with zero")
    if segment.pointers.size and int(segment.pointers.max()) > config.pointer_limit:
        raise UserError(
            f"a pointer is {segment.pointers.max()}, the last is {config.pointer_limit}"
        )


def _check_passes(program: Program, segment: Segment) -> None:
    """Descriptors and slices against memories and layers."""
    config = program.config
    if not 1 <= len(segment.passes) <= config.layers:
        raise UserError(f"{len(segment.passes)} passes, the table holds 1 to {config.layers}")
    bases, sizes = segment.bases(config), segment.sizes()
    for number, step in enumerate(segment.passes):
        descriptor = step.descriptor
        descriptor.pack(config)
        if descriptor.split > config.splits:
            raise UserError(
                f"pass {number}: {1 << descriptor.split} clusters, "
                f"the array divides into {config.clusters} at most"
            )
        if run_bits(config, descriptor) > config.run_bits_most:
            raise UserError(
                f"pass {number}: runs of {run_bits(config, descriptor)} bits, "
                f"there are {config.run_bits}...{config.run_bits_most}"
            )
        act_rows = descriptor.rows >> descriptor.split if descriptor.drain else 0
        width = cluster_columns(config, step.inputs, descriptor.split) + 1
        last_pointer = bases.pointers + sizes["pointers"] - width
        last_codebook = bases.codebooks + sizes["codebooks"] - 1
        for name, value, low, most in (
            ("rows", descriptor.rows, 0, config.rows),
            ("layer", step.layer, 0, len(program.layers) - 1),
            ("pointers", descriptor.pointer_base, bases.pointers, last_pointer),
            ("codebook", descriptor.codebook, bases.codebooks, last_codebook),
            ("input rows", descriptor.input_base + descriptor.input_rows, 0, config.act_rows),
            ("output rows", descriptor.output_base + act_rows, 0, config.act_rows),
        ):
            if not low <= value <= most:
                raise UserError(
                    f"pass {number}: {name} at or up to {value}, must be {low}...{most}"
                )
        _check_size(program, number, step)
        _check_biases(program, segment, number, step)
    for run in segment.runs:
        _check_slices(program, run)


def _check_slices(program: Program, run: Run) -> None:
    for name, part in (("feed", run.feed), ("fetch", run.fetch)):
        if part is None:
            continue
        last = len(program.layers) - 1
        if not 0 <= part.layer <= last:
            raise UserError(f"{name} of layer {part.layer}, must be 0...{last}")
        layer = program.layers[part.layer]
        length = layer.columns(program.config) if name == "feed" else layer.outputs
        inside = 0 <= part.first <= part.first + part.count <= length
        if not inside or part.count > program.config.acts:
            raise UserError(f"{name} of {part.first} + {part.count} from a vector of {length}")


def _check_size(program: Program, number: int, step: Pass) -> None:
    """A pass against its descriptor and its layer."""
    pes, descriptor, layer = program.config.pes, step.descriptor, program.layers[step.layer]
    rows = (-(-step.inputs // pes), -(-step.outputs // pes) << descriptor.split)
    told = (step.inputs, descriptor.input_rows, descriptor.rows)
    if (descriptor.columns, *rows) != told or min(step.inputs, step.outputs) < 1:
        raise UserError(f"pass {number}: its size and its descriptor disagree")
    if not (
        0 <= step.first_input <= layer.columns(program.config) - step.inputs
        and 0 <= step.first_output <= layer.outputs - step.outputs
    ):
        raise UserError(f"pass {number}: it is no part of layer {layer.name}")


def _check_biases(program: Program, segment: Segment, number: int, step: Pass) -> None:
    """They lie in the memory; those behind the last output, whose rows are drained, too, are
    zero."""
    descriptor = step.descriptor
    if not descriptor.drain:
        return
    first = descriptor.bias_base - segment.bases(program.config).biases
    rows = descriptor.rows >> descriptor.split
    if first < 0 or first + rows > segment.biases.shape[1]:
        raise UserError(
            f"pass {number}: biases {first}...{first + rows - 1} of the segment, "
            f"there are {segment.biases.shape[1]}"
        )
    used = segment.biases[:, first : first + rows].T.ravel()
    if used[step.outputs :].any():
        raise UserError(f"pass {number}: biases behind its last output are not zero")
