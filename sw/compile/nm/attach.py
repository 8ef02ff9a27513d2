"""A network whose Linear and Conv2d layers are computed by an array, and all else by torch."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from spec.errors import UserError
from spec.nm.program import Layer, Program
from spec.numbers import quantize
from sw.compile.nm.observe import Part, layers_of

RunLayer = Callable[[int, np.ndarray], np.ndarray]
"""Number of a layer and its activations, integers of shape (tokens, inputs), to integers of shape
(tokens, outputs)."""


@contextmanager
def on_device(module: nn.Module, program: Program, run_layer: RunLayer) -> Iterator[None]:
    """Within this context the layers of a program compute on a device; then as they did before.

    Parameters
    ----------
    module : nn.Module
        The network that the program was compiled from. Gradients end at its layers.
    program : Program
        Of :func:`sw.compile.nm.linears.compile_linears`.
    run_layer : callable
        Such as ``device.run_layer``, once the device has loaded the program.

    Raises
    ------
    UserError
        If a layer of the program is none of the network's; and, from within the network, for what a
        layer cannot take.
    """
    layers = layers_of(module, [layer.name for layer in program.layers])
    with ExitStack() as stack:
        for number, described in enumerate(program.layers):
            layer = layers[described.name]
            _check_same(described, layer)
            stack.enter_context(_replaced(layer, _Stand(program, number, run_layer)))
        yield


@contextmanager
def _replaced(layer: Part, stand: "_Stand") -> Iterator[None]:
    """Another ``forward``, which is an attribute of this one module and not of its class."""
    before = layer.__dict__.get("forward")
    # Modules such as TransformerEncoderLayer use the weights of their parts themselves where nobody
    # would notice; they call the parts if one has a hook.
    handle = layer.register_forward_hook(lambda *_: None)
    layer.forward = stand
    try:
        yield
    finally:
        handle.remove()
        if before is None:
            del layer.forward
        else:
            layer.forward = before


def _check_same(described: Layer, layer: Part) -> None:
    """Refuse another network's program."""
    if isinstance(layer, nn.Conv2d):
        own = layer.in_channels, layer.out_channels
    else:
        own = layer.in_features, layer.out_features
    theirs = described.features, described.outputs
    if own != theirs or isinstance(layer, nn.Conv2d) != (described.unfold is not None):
        raise UserError(
            f"layer {described.name}: the program's takes {theirs[0]} and gives {theirs[1]}, the "
            f"network's is {layer}"
        )


class _Stand:
    """What stands in for a layer's ``forward``."""

    def __init__(self, program: Program, number: int, run_layer: RunLayer) -> None:
        self.layer = program.layers[number]
        self.number = number
        self.act_bits = program.act_bits
        self.input_scales = program.input_scales(number)
        self.output_scales = program.output_scales(number)
        self.run_layer = run_layer

    def __call__(self, input: Tensor) -> Tensor:  # noqa: A002 -- as torch calls it
        leading = self._leading(input)
        real = input.detach().to("cpu", torch.float64).numpy().reshape(-1, self.layer.takes)
        given = np.zeros((0, self.layer.gives))
        if len(real):
            if not np.isfinite(real).all():
                raise UserError(f"layer {self.layer.name}: is given values that are not finite")
            integers = quantize(real, self.input_scales, self.act_bits)
            results = self.run_layer(self.number, self.layer.tokens_of(integers))
            given = self.layer.images_of(np.asarray(results)) * self.output_scales
        return torch.from_numpy(given).to(input).reshape(*leading, *self._trailing())

    def _leading(self, given: Tensor) -> tuple[int, ...]:
        """Axes in front of those of a token or an image, once the latter are found to be right."""
        unfold = self.layer.unfold
        own = (unfold.channels, unfold.height, unfold.width) if unfold else (self.layer.inputs,)
        cut = given.ndim - len(own)
        if cut < 0 or tuple(given.shape[cut:]) != own:
            raise UserError(
                f"layer {self.layer.name}: is given shape {tuple(given.shape)}, must end in {own}, "
                "as in the samples it was compiled with"
            )
        return tuple(given.shape[:cut])

    def _trailing(self) -> tuple[int, ...]:
        """Axes of a token's or an image's results."""
        unfold = self.layer.unfold
        return (self.layer.outputs, *unfold.windows) if unfold else (self.layer.outputs,)
