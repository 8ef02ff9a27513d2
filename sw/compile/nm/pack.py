"""A chain of integer layers as a program, each in the form that was chosen for it."""

from collections.abc import Sequence
from dataclasses import replace

from spec.nm.config import NmConfig
from spec.nm.pack import pack_layer
from spec.nm.program import Program
from sw.compile.nm.chain import IntegerLayer
from sw.compile.nm.forms import Form, arrange


def pack_chain(layers: Sequence[IntegerLayer], forms: Sequence[Form], config: NmConfig) -> Program:
    """The program; weights that were rounded to zero keep their places."""
    packed = []
    for layer, form in zip(layers, forms, strict=True):
        source, integer = layer.source, layer.integer
        windows = source.windows
        dense = arrange(integer.matrix.dense, windows, form.channels_last)
        packed.append(
            pack_layer(
                config,
                layer.name,
                replace(integer.matrix, dense=dense),
                form.mode,
                kept=form.kept,
                relu=source.relu,
                scales=integer.scales,
                input_scales=layer.input_scales,
                output_scales=integer.output_scales,
                unfold=windows and replace(windows, channels_last=form.channels_last),
                pool=source.pool,
            )
        )
    return Program(
        config=config,
        layers=tuple(layer for layer, _ in packed),
        weights=tuple(weights for _, weights in packed),
    )
