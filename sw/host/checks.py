"""Whether an image fits its own configuration, checked before any word is written to a device."""

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.program import Program, Segment
from spec.errors import UserError
from spec.numbers import signed_bounds


def check_fits(program: Program) -> None:
    """Refuse an image whose memories, values, passes or slices the device has no room for.

    What depends on the matrices' contents is left to :func:`spec.eie.golden.decode_pass`.
    """
    for number, segment in enumerate(program.segments):
        try:
            _check_memories(program.config, segment)
            _check_passes(program, segment)
        except UserError as error:
            raise UserError(
                f"the image's segment {number} is not for its configuration: {error}"
            ) from None


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
        exact = memory.ndim == 2 and (memory.shape[0] == first or name == "codebooks")
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
        if step.inputs != descriptor.columns or -(-step.outputs // config.pes) != descriptor.rows:
            raise UserError(f"pass {number}: its size and its descriptor disagree")
    for name, part in (("feed", segment.feed), ("fetch", segment.fetch)):
        if part is None:
            continue
        layer = program.layers[part.layer]
        length = layer.inputs if name == "feed" else layer.outputs
        if part.first < 0 or part.count > config.acts or part.first + part.count > length:
            raise UserError(f"{name} of {part.first} + {part.count} from a vector of {length}")
