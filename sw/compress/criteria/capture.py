"""What the layers of a network see while it runs on calibration data."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spec.errors import UserError

Kernel = nn.Conv1d | nn.Conv2d | nn.Conv3d


Moments = tuple[Tensor, Tensor, Tensor]
"""X X^T of a layer's inputs X, Z X^T with what they were before, Z, and Z Z^T; each of shape
(groups of channels, inputs, inputs), float64."""


class DoneError(Exception):
    """The rest of the network need not run."""


class Stage(NamedTuple):
    """Layers that see the same tensor, and how often a run of the network calls the first."""

    layers: list[str]
    calls: int


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Within this context the network is in eval mode and takes no gradients; then as before."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def call(model: Callable[..., Any], inputs: Any) -> Any:
    """Run a network on a batch's inputs: a tensor, or a tuple of what ``forward`` takes.

    Raises
    ------
    UserError
        If the network does not take them.
    """
    try:
        return model(*inputs) if isinstance(inputs, (tuple, list)) else model(inputs)
    except (DoneError, UserError):
        raise
    except Exception as error:  # whatever the network's own code raises
        why = str(error).strip().partition("\n")[0]
        raise UserError(
            f"the network does not run on the calibration data: {type(error).__name__}: {why}"
        ) from error


def layer_of(model: nn.Module, name: str, criterion: str) -> nn.Module:
    """A Linear or convolution by its name; refuses what is neither."""
    try:
        layer = model.get_submodule(name)
    except AttributeError:
        layer = None
    if not isinstance(layer, nn.Linear | Kernel):
        raise UserError(
            f"the criterion {criterion} takes Linear layers and convolutions, layer {name} is none"
        )
    return layer


def stages(model: nn.Module, names: Iterable[str], inputs: Any, criterion: str) -> list[Stage]:
    """The layers in the order in which a run calls them; those with the same input together."""
    seen: list[tuple[str, Tensor]] = []

    def watch(name: str):
        return lambda _, arguments: seen.append((name, arguments[0]))

    chosen = {name: layer_of(model, name, criterion) for name in names}
    with evaluating(model), ExitStack() as hooks:
        for name, layer in chosen.items():
            hooks.callback(layer.register_forward_pre_hook(watch(name)).remove)
        call(model, inputs)
    calls = [name for name, _ in seen]
    for name in chosen:
        if name not in calls:
            raise UserError(f"layer {name}: the calibration data do not reach it")
    found: list[tuple[Stage, Tensor]] = []
    for name, tensor in seen:
        stage = Stage([name], calls.count(name))
        if any(name in other.layers for other, _ in found):
            continue
        if found and stage.calls == found[-1][0].calls == 1 and tensor is found[-1][1]:
            found[-1][0].layers.append(name)
        else:
            found.append((stage, tensor))
    return [stage for stage, _ in found]


def inputs_of(model: nn.Module, stage: Stage, inputs: Any) -> list[Tensor]:
    """What the first layer of a stage is called with. The network runs no further than that."""
    seen: list[Tensor] = []

    def watch(_, arguments: tuple):
        seen.append(arguments[0].detach())
        if len(seen) == stage.calls:
            raise DoneError

    handle = model.get_submodule(stage.layers[0]).register_forward_pre_hook(watch)
    try:
        with evaluating(model):
            call(model, inputs)
    except DoneError:
        pass
    finally:
        handle.remove()
    return seen


def samples(layer: nn.Module, values: Tensor) -> Tensor:
    """A layer's input as what its weight's matrix multiplies.

    Returns
    -------
    shape (groups of channels, samples, inputs)
        A Linear has one group. A convolution has a sample for each place of its output; inputs
        stand place by place, all channels of a place together, as patterns see them.
    """
    if isinstance(layer, nn.Linear):
        return values.reshape(1, -1, values.shape[-1])
    assert isinstance(layer, Kernel)
    places = len(layer.kernel_size)
    if values.ndim == places + 1:
        values = values[None]
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    values = F.pad(values, layer._reversed_padding_repeated_twice, mode=mode)
    sizes = zip(layer.kernel_size, layer.dilation, layer.stride, strict=True)
    for axis, (size, dilation, stride) in enumerate(sizes, 2):
        values = values.unfold(axis, dilation * (size - 1) + 1, stride)[..., ::dilation]
    # Now (batch, channels, places of the output ..., places of the kernel ...).
    apart = values.unflatten(1, (layer.groups, -1))
    axes = range(3, 3 + places)
    moved = apart.permute(1, 0, *axes, *(axis + places for axis in axes), 2)
    return moved.flatten(2 + places).flatten(1, -2)


def grams(
    model: nn.Module, names: Sequence[str], batches: Sequence, criterion: str
) -> dict[str, Tensor]:
    """X X^T of each layer's inputs, all in one run over the data.

    Returns
    -------
    mapping of layer name to tensor of shape (groups of channels, inputs, inputs), float64
    """
    chosen = {name: layer_of(model, name, criterion) for name in names}
    found: dict[str, Tensor] = {}

    def watch(name: str):
        def hook(layer: nn.Module, arguments: tuple):
            seen = samples(layer, arguments[0])
            add(found, name, seen, seen, name)

        return hook

    with evaluating(model), ExitStack() as hooks:
        for name, layer in chosen.items():
            hooks.callback(layer.register_forward_pre_hook(watch(name)).remove)
        for inputs, _ in batches:
            call(model, inputs)
    for name in chosen:
        if name not in found:
            raise UserError(f"layer {name}: the calibration data do not reach it")
    return found


def moments(before: nn.Module, after: nn.Module, stage: Stage, batches: Sequence) -> Moments:
    """Second moments of a stage's inputs in two networks, over all of the data."""
    found: dict[str, Tensor] = {}
    name = stage.layers[0]
    layer = before.get_submodule(name)
    for inputs, _ in batches:
        both = (inputs_of(one, stage, inputs) for one in (after, before))
        for pair in zip(*both, strict=True):
            new, old = (samples(layer, one) for one in pair)
            for key, left, right in (("new", new, new), ("cross", old, new), ("old", old, old)):
                add(found, key, left, right, name)
    return found["new"], found["cross"], found["old"]


def add(found: dict[str, Tensor], key: str, left: Tensor, right: Tensor, layer: str) -> None:
    """Add the products of two inputs' samples to what was found, in place."""
    product = (left.mT @ right).double()
    if not torch.isfinite(product).all():
        raise UserError(f"layer {layer}: its inputs are NaN or infinite on the calibration data")
    found[key] = found[key].add_(product) if key in found else product
