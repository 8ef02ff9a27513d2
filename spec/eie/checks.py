"""Whether an image can run on an array of its own configuration.

Whoever reads or loads an image asks here first; what passes runs on every executor, alike.
"""

import math

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.program import MEMORIES, Pass, Program, Segment
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
    _check_sums(program)


def _check_layers(program: Program) -> None:
    """There are some, with names of their own, and sizes and scales that mean something."""
    names = [layer.name for layer in program.layers]
    if not names or not program.segments:
        raise UserError(f"the image has {len(names)} layers and {len(program.segments)} segments")
    if len(set(names)) < len(names):
        raise UserError(f"layers share a name: {', '.join(names)}")
    for layer in program.layers:
        scales = (layer.input_scale, layer.weight_scale, layer.output_scale)
        if layer.inputs < 1 or layer.outputs < 1 or layer.weights < 0:
            raise UserError(f"layer {layer.name}: {layer.inputs} inputs, {layer.outputs} outputs")
        if not all(math.isfinite(scale) and scale > 0 for scale in scales):
            raise UserError(f"layer {layer.name}: its scales are {scales}, must be above 0")


def _check_sums(program: Program) -> None:
    """No sum is left in an accumulator, where the next image would find it."""
    waiting = 0
    for _, _, step in program.passes():
        rows = step.descriptor.rows
        if not step.descriptor.drain:
            waiting = max(waiting, rows)
        elif rows >= waiting:
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
    if segment.pointers.size and int(segment.pointers.max()) > config.entries:
        raise UserError(
            f"a pointer is {segment.pointers.max()}, there are {config.entries} entries"
        )


def _check_passes(program: Program, segment: Segment) -> None:
    """Descriptors and slices against memories and layers."""
    config = program.config
    if not 1 <= len(segment.passes) <= config.layers:
        raise UserError(f"{len(segment.passes)} passes, the table holds 1 to {config.layers}")
    for number, step in enumerate(segment.passes):
        descriptor = step.descriptor
        descriptor.pack(config)
        bias_end = descriptor.bias_base + descriptor.rows if descriptor.drain else 0
        output_end = descriptor.output_base + descriptor.rows if descriptor.drain else 0
        for name, value, most in (
            ("rows", descriptor.rows, config.rows),
            ("layer", step.layer, len(program.layers) - 1),
            ("pointers", descriptor.pointer_base + step.inputs + 1, segment.pointers.shape[1]),
            ("biases", bias_end, segment.biases.shape[1]),
            ("codebook", descriptor.codebook, len(segment.codebooks) - 1),
            ("input rows", descriptor.input_base + descriptor.input_rows, config.act_rows),
            ("output rows", output_end, config.act_rows),
        ):
            if value > most:
                raise UserError(f"pass {number}: {name} up to {value}, there are only {most}")
        _check_size(program, segment, number, step)
    for name, part in (("feed", segment.feed), ("fetch", segment.fetch)):
        if part is None:
            continue
        layer = program.layers[part.layer]
        length = layer.inputs if name == "feed" else layer.outputs
        if part.first < 0 or part.count > config.acts or part.first + part.count > length:
            raise UserError(f"{name} of {part.first} + {part.count} from a vector of {length}")


def _check_size(program: Program, segment: Segment, number: int, step: Pass) -> None:
    """A pass against its descriptor, its layer, and the biases behind its last output."""
    pes, descriptor, layer = program.config.pes, step.descriptor, program.layers[step.layer]
    rows = (-(-step.inputs // pes), -(-step.outputs // pes))
    told = (step.inputs, descriptor.input_rows, descriptor.rows)
    if (descriptor.columns, *rows) != told or min(step.inputs, step.outputs) < 1:
        raise UserError(f"pass {number}: its size and its descriptor disagree")
    if not (
        0 <= step.first_input <= layer.inputs - step.inputs
        and 0 <= step.first_output <= layer.outputs - step.outputs
    ):
        raise UserError(f"pass {number}: it is no part of layer {layer.name}")
    if descriptor.drain:
        base = descriptor.bias_base
        used = segment.biases[:, base : base + descriptor.rows].T.ravel()
        if used[step.outputs :].any():
            raise UserError(f"pass {number}: biases behind its last output are not zero")
