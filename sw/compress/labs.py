"""Objects of the TinyML course (MIT 6.5940), as its labs on pruning and quantization leave them.

Lab 1 keeps a dictionary of masks, lab 2 one of codebooks: named tuples of *centroids*, the shared
values, and *labels*, one for each weight. Keys are names of parameters (``backbone.conv0.weight``),
labels may be flat, and no centroid is exactly zero.
"""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from spec.errors import UserError
from sw.compress.layers import WEIGHTED, weights
from sw.compress.prune import Masks
from sw.compress.share import Codebook

MOST_BITS = 8
"""Widest codes that are shared: :func:`sw.compress.share.share`."""


class LabCodebook(Protocol):
    """The labs' ``namedtuple('Codebook', ['centroids', 'labels'])``."""

    @property
    def centroids(self) -> Tensor: ...

    @property
    def labels(self) -> Tensor: ...


def lab_masks(masks: Mapping[str, Tensor], model: nn.Module) -> Masks:
    """Masks of lab 1.

    Parameters
    ----------
    masks : mapping of parameter name to tensor
        Ones, or true, where a weight stays; zeros, or false, where it goes.
    model : nn.Module
        The network that they are of. Is not changed.

    Raises
    ------
    UserError
        For a name that no layer's weight has, another shape, or values besides 0 and 1.
    """
    layers = _layers(model)
    found = {}
    for key, mask in masks.items():
        name, weight = _of(layers, key)
        if not isinstance(mask, Tensor) or mask.shape != weight.shape:
            raise UserError(
                f"{key}: the mask's shape is {tuple(getattr(mask, 'shape', ()))}, "
                f"the weight's {tuple(weight.shape)}"
            )
        if not bool(((mask == 0) | (mask == 1)).all()):
            raise UserError(f"{key}: the mask holds other values than 0 and 1")
        found[name] = mask.detach().cpu().bool()
    return Masks(found)


def lab_codebooks(
    codebooks: Mapping[str, LabCodebook],
    model: nn.Module,
    masks: Masks | None = None,
    *,
    bits: int | None = None,
    nearest_is_zero: bool = False,
) -> dict[str, Codebook]:
    """Codebooks of lab 2, with a zero in them.

    Parameters
    ----------
    codebooks : mapping of parameter name to a named tuple of centroids and labels
    model : nn.Module
        The network that they are of. Is not changed; its weights are not looked at.
    masks : Masks, optional
        What they prune is zero, whatever its label says.
    bits : int, optional
        Width of the labels; default is the smallest that holds each layer's values and zero.
    nearest_is_zero : bool
        The centroid nearest to zero becomes zero. Among many pruned weights it stands for those,
        so this is what makes 16 centroids fit into codes of 4 bits. The network changes.

    Returns
    -------
    dict of layer name to Codebook
        Values in ascending order behind the zero, those only that a weight has.

    Raises
    ------
    UserError
        For what the labs do not make, and where values and zero are more than codes of ``bits``.
    """
    if bits is not None and not 1 <= bits <= MOST_BITS:
        raise UserError(f"codes of {bits} bits were asked for, allowed is 1...{MOST_BITS}")
    layers = _layers(model)
    found = {}
    for key, book in codebooks.items():
        name, weight = _of(layers, key)
        centroids, labels = _checked(key, book, weight)
        if nearest_is_zero:
            centroids[centroids.abs().argmin()] = 0
        values = centroids[labels]
        if masks is not None and name in masks:
            values = values.masked_fill(~masks[name].reshape(values.shape), 0)
        found[name] = _with_zero(key, values.to(weight.dtype), bits)
    return found


def _layers(model: nn.Module) -> dict[str, tuple[str, nn.Parameter]]:
    """Parameter name to layer name and weight."""
    found = {}
    for name, weight in weights(model).items():
        try:
            matrix = isinstance(model.get_submodule(name), WEIGHTED)
        except AttributeError:
            matrix = False
        found[f"{name}.weight".lstrip(".") if matrix else name] = (name, weight)
    return found


def _of(layers: Mapping[str, tuple[str, nn.Parameter]], key: str) -> tuple[str, nn.Parameter]:
    if key not in layers:
        raise UserError(f"{key!r} is no layer's weight; the network has {', '.join(layers)}")
    return layers[key]


def _checked(key: str, book: LabCodebook, weight: Tensor) -> tuple[Tensor, Tensor]:
    """A copy of the centroids, and labels of the weight's shape."""
    centroids, labels = getattr(book, "centroids", None), getattr(book, "labels", None)
    if not isinstance(centroids, Tensor) or not isinstance(labels, Tensor):
        raise UserError(f"{key}: no codebook of centroids and labels, both tensors")
    if labels.numel() != weight.numel() or labels.is_floating_point():
        raise UserError(
            f"{key}: {labels.numel()} labels of {labels.dtype} were given, "
            f"the weight needs {weight.numel()} integers"
        )
    if not centroids.is_floating_point() or not bool(torch.isfinite(centroids).all()):
        raise UserError(f"{key}: centroids must be floating-point numbers, not NaN or infinite")
    labels = labels.detach().cpu().long().reshape(weight.shape)
    if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < centroids.numel():
        raise UserError(
            f"{key}: labels are {int(labels.min())}...{int(labels.max())}, "
            f"there are {centroids.numel()} centroids"
        )
    return centroids.detach().cpu().flatten().clone(), labels


def _with_zero(key: str, values: Tensor, bits: int | None) -> Codebook:
    """The codebook of a weight, whose first value is zero."""
    nonzeros = values != 0
    distinct, positions = values[nonzeros].unique(return_inverse=True)
    needed = max(1, len(distinct).bit_length())
    width = needed if bits is None else bits
    if needed > min(width, MOST_BITS):
        raise UserError(
            f"{key}: weights have {len(distinct)} values besides zero, codes of "
            f"{min(width, MOST_BITS)} bits hold {2 ** min(width, MOST_BITS) - 1}; allow more bits, "
            "give the masks, or let the value nearest to zero be zero (nearest_is_zero)"
        )
    centroids = torch.zeros(2**width, dtype=values.dtype)
    centroids[1 : 1 + len(distinct)] = distinct
    labels = torch.zeros(values.shape, dtype=torch.int64)
    labels[nonzeros] = positions + 1
    return Codebook(centroids, labels)
