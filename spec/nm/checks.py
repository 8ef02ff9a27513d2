"""Whether an image can run on an array of its own configuration.

Whoever reads or loads an image asks here first; what passes runs on every executor, alike.
"""

import numpy as np

from spec.errors import UserError
from spec.nm.golden import Decoded, first_steps, input_of
from spec.nm.program import TENSORS, Layer, Program, chain_breaks
from spec.nm.strips import Strip, strip_lines
from spec.numbers import signed_bounds


def check_fits(program: Program) -> None:
    """Refuse an image whose layers, words, values or sums no such array could run."""
    names = [layer.name for layer in program.layers]
    if not names or len(program.weights) != len(names):
        raise UserError(f"the image has {len(names)} layers, {len(program.weights)} with weights")
    if len(set(names)) < len(names):
        raise UserError(f"layers share a name: {', '.join(names)}")
    broken = chain_breaks(program.layers) if program.chained else None
    if broken:
        raise UserError(broken)
    for number, layer in enumerate(program.layers):
        try:
            _check_layer(layer)
            _check_arrays(program, number)
            program.config.mode_number(layer.pattern)
            program.descriptor(number, 1)
        except UserError as error:
            raise UserError(f"layer {layer.name}: {error}") from None
    try:
        spans = program.spans
    except UserError as error:
        raise UserError(f"the image's strips are not for its configuration: {error}") from None
    for number, layer in enumerate(program.layers):
        strips = program.strips(number)
        begins = first_steps(program.steps(number), layer.parts).tolist()
        for index in range(len(spans[number])):
            last = (index + 1) % layer.parts == 0
            try:
                _check_strip(program, layer, strips[index], begins[index], last)
            except UserError as error:
                raise UserError(f"layer {layer.name}, strip {index}: {error}") from None
        _check_sums(program, number)


def _check_layer(layer: Layer) -> None:
    """Sizes and scales that mean something."""
    if layer.inputs < 1 or layer.outputs < 1 or layer.weights < 0 or layer.slots < 0:
        raise UserError(f"{layer.inputs} inputs, {layer.outputs} outputs")
    if layer.parts < 1:
        raise UserError(f"strips of {layer.parts} parts")
    if layer.unfold and layer.unfold.inputs != layer.inputs:
        raise UserError(f"windows of {layer.unfold.inputs} values for {layer.inputs} inputs")
    pool, unfold = layer.pool, layer.unfold
    made = (layer.outputs, *unfold.windows) if unfold else None
    if pool and (pool.channels, pool.height, pool.width) != made:
        raise UserError(f"it cannot pool its results with {pool}")


def _check_arrays(program: Program, number: int) -> None:
    """Types, shapes, and an order that names every output once."""
    layer, weights = program.layers[number], program.weights[number]
    shapes = {
        "scales": (layer.outputs,),
        "input_scales": (layer.features,),
        "output_scales": (layer.outputs,),
        "strips": (len(weights.strips), program.config.limbs),
    }
    for name, shape in shapes.items():
        array: np.ndarray = getattr(weights, name)
        if array.dtype != TENSORS[name] or array.shape != shape:
            raise UserError(
                f"{name} are {array.dtype} of shape {array.shape}, "
                f"must be {np.dtype(TENSORS[name])} of {shape}"
            )
    for name in ("scales", "input_scales", "output_scales"):
        scales: np.ndarray = getattr(weights, name)
        if not (np.isfinite(scales).all() and (scales > 0).all()):
            raise UserError(f"its {name} must be above 0")
    order = weights.order
    if len(order) and not np.array_equal(np.sort(order), np.arange(layer.outputs)):
        raise UserError("its order names not every output once")


def _check_strip(program: Program, layer: Layer, strip: Strip, begin: int, last: bool) -> None:
    """Steps, weights, parameters and offsets against the configuration and the layer. The strip, or
    a part of one, begins with step ``begin``."""
    config, mode = program.config, layer.pattern
    low, high = signed_bounds(config.weight_bits)
    if strip.values.min() < low or strip.values.max() > high:
        raise UserError(
            f"weights reach {strip.values.min()}...{strip.values.max()}, {config.weight_bits} bits "
            f"hold {low}...{high}"
        )
    if strip.shift.max() > config.shift_max:
        raise UserError(f"a shift of {strip.shift.max()}, the largest is {config.shift_max}")
    if not last and strip.steps % config.phases(mode):
        raise UserError(f"a part of {strip.steps} steps of {mode} ends within a line")
    lines, held = strip_lines(config, mode, strip.steps), -(-layer.inputs // config.line_inputs)
    room = config.gather_lines if layer.gather else held - begin // config.phases(mode)
    if lines > room:
        raise UserError(f"{strip.steps} steps of {mode} take {lines} lines, there are {room}")
    if layer.gather:
        reads = np.arange(lines)[:, None] + strip.offsets
        if reads.max() >= held:
            raise UserError(f"an offset leads to line {reads.max()}, a tile has {held}")
    used = strip.values != 0
    inputs = input_of(config, mode, strip, gather=layer.gather, begin=begin)[used]
    if inputs.size and inputs.max() >= layer.inputs:
        raise UserError(f"a weight for input {inputs.max()} of {layer.inputs}")


def _check_sums(program: Program, number: int) -> None:
    """As many weights as are said, and no activations that make a sum leave its accumulator."""
    config, layer, dense = program.config, program.layers[number], Decoded(program, number).dense
    weights = int(np.count_nonzero(dense))
    if not layer.weights == weights <= layer.slots:
        raise UserError(
            f"layer {layer.name}: {layer.weights} weights in {layer.slots} slots, "
            f"its strips hold {weights}"
        )
    least, most = signed_bounds(config.act_bits)
    positive, negative = dense.clip(min=0).sum(axis=1), dense.clip(max=0).sum(axis=1)
    lowest = (positive * least + negative * most).min()
    highest = (positive * most + negative * least).max()
    low, high = signed_bounds(config.acc_bits)
    if lowest < low or highest > high:
        raise UserError(
            f"layer {layer.name}: sums may reach {lowest}...{highest}, "
            f"accumulators of {config.acc_bits} bits hold {low}...{high}"
        )
