"""What the layers of a network take and give while it runs on samples: how far each of their inputs
and outputs reaches. The network may be of any form; nothing of it is changed."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spec.errors import UserError
from sw.compile.original import evaluating, first_line
from sw.compile.tensors import densified

Part = nn.Linear | nn.Conv2d
"""What the array computes of a network."""

Samples = Tensor | tuple | Mapping[str, Any] | list
"""A tensor, a tuple or a mapping of arguments: one call of the network. A list of such: several."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Observed:
    """A layer and how far its values reached.

    Attributes
    ----------
    inputs : float64, shape (features,)
        Largest magnitude of each input, or of each channel of a convolution's images.
    outputs : float64, shape (outputs,)
    tokens : int
        Most tokens that a call of the layer brought; a convolution's are windows.
    image : (int, int) or None
        Height and width of a convolution's images.
    """

    layer: Part
    inputs: np.ndarray
    outputs: np.ndarray
    tokens: int
    image: tuple[int, int] | None


def layers_of(module: nn.Module, names: Iterable[str] | None = None) -> dict[str, Part]:
    """Linear and Conv2d layers by name, in the network's order.

    Parameters
    ----------
    names : optional
        Only these. One that does not exist, or is of another kind, raises :class:`UserError`.
    """
    found = {
        name or type(part).__name__.lower(): part
        for name, part in module.named_modules()
        if isinstance(part, Part)
    }
    if not found:
        raise UserError("the network has no Linear and no Conv2d")
    chosen = list(found) if names is None else list(names)
    for name in chosen:
        if name not in found:
            raise UserError(
                f"there is no Linear or Conv2d {name!r}; the network has {', '.join(found)}"
            )
    return {name: layer for name, layer in found.items() if name in chosen}


def observe(
    module: nn.Module, samples: Samples, names: Iterable[str] | None = None
) -> dict[str, Observed]:
    """Run a network on samples, in evaluation mode, and watch its layers.

    Raises
    ------
    UserError
        If the network does not run on them; for a layer that they never reach, that sees images of
        several sizes, or values that are not finite.
    """
    watched = {name: _Watch(name, layer) for name, layer in layers_of(module, names).items()}
    with ExitStack() as stack:
        stack.enter_context(evaluating(module))
        stack.enter_context(densified(module))
        stack.enter_context(torch.no_grad())
        for watch in watched.values():
            handle = watch.layer.register_forward_hook(watch, with_kwargs=True)
            stack.callback(handle.remove)
        for call, (arguments, named) in enumerate(_calls(samples)):
            try:
                module(*arguments, **named)
            except UserError:
                raise
            except Exception as error:  # whatever the network's own code raises
                raise UserError(
                    f"the network does not run on the samples of call {call}: {first_line(error)}"
                ) from error
    return {name: watch.observed() for name, watch in watched.items()}


class _Watch:
    """A hook that keeps the largest magnitudes."""

    def __init__(self, name: str, layer: Part) -> None:
        self.name = name
        self.layer = layer
        self.inputs: np.ndarray | None = None
        self.outputs: np.ndarray | None = None
        self.tokens = 0
        self.image: tuple[int, int] | None = None

    def __call__(self, layer: nn.Module, arguments: tuple, named: dict, output: Tensor) -> None:
        (given,) = (*arguments, *named.values())
        if isinstance(layer, nn.Conv2d):
            self._check_image((given.shape[-2], given.shape[-1]))
        self.inputs = self._widen(self.inputs, given, "is given")
        self.outputs = self._widen(self.outputs, output, "gives")
        if self.outputs is not None:
            self.tokens = max(self.tokens, output.numel() // len(self.outputs))

    def _check_image(self, image: tuple[int, int]) -> None:
        if self.image not in (None, image):
            raise UserError(
                f"layer {self.name}: the samples bring it images of {self.image} and of {image}, "
                "it can be compiled for one size"
            )
        self.image = image

    def _widen(self, before: np.ndarray | None, values: Tensor, what: str) -> np.ndarray | None:
        """Largest magnitude of each feature so far."""
        if values.numel() == 0:
            return before
        kept = values.ndim - (3 if self.image else 1)  # of an image, the axis of its channels
        others = [axis for axis in range(values.ndim) if axis != kept]
        reach = values.detach().abs().amax(others) if others else values.detach().abs()
        found = reach.to("cpu", torch.float64).numpy()
        if not np.isfinite(found).all():
            raise UserError(f"layer {self.name}: {what} values that are not finite by the samples")
        return found if before is None else np.maximum(before, found)

    def observed(self) -> Observed:
        if self.inputs is None or self.outputs is None:
            raise UserError(
                f"layer {self.name}: the samples never reach it; give others, or leave it out (a "
                "module that takes its weight without calling it keeps it from being watched)"
            )
        return Observed(
            layer=self.layer,
            inputs=self.inputs,
            outputs=self.outputs,
            tokens=self.tokens,
            image=self.image,
        )


def _calls(samples: Samples) -> Iterator[tuple[tuple, dict[str, Any]]]:
    """Arguments of each call."""
    several = samples if isinstance(samples, list) else [samples]
    if not several:
        raise UserError("there are no samples")
    for number, one in enumerate(several):
        if isinstance(one, Tensor):
            yield (one,), {}
        elif isinstance(one, tuple):
            yield one, {}
        elif isinstance(one, Mapping):
            yield (), dict(one)
        else:
            raise UserError(
                f"samples of call {number} are {type(one).__name__}, must be a tensor, or a tuple "
                "or dict of arguments"
            )
