"""Weight sharing: a few values per layer, found by k-means, and trained on as such.

Han et al., "Deep Compression", 2016, section 3. Zero is a value of its own, so ``bits`` = 4 makes
15 shared values and an exact zero.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from spec.errors import UserError
from sw.compress.layers import weights


class Codebook(NamedTuple):
    """One layer's shared values, and which weight has which.

    Attributes
    ----------
    centroids : shape (2**bits,), type of the weight
        ``centroids[0]`` is exactly 0. Some of the others may be no weight's value.
    labels : int64, shape of the weight
        0 exactly where the weight was zero.
    """

    centroids: Tensor
    labels: Tensor

    def expand(self) -> Tensor:
        """The weight as a dense tensor."""
        return self.centroids[self.labels]


Start = Literal["linear", "density", "random"]

STARTS: tuple[Start, ...] = ("linear", "density", "random")
"""Where k-means begins; the ways of Deep Compression, section 3.1.

linear
    At equal distances between the smallest and the largest nonzero. Few but large weights get
    centroids of their own, which keeps most accuracy there.
density
    At the middles of as many spans of sorted nonzeros, all of one length.
random
    At distinct nonzeros, drawn with a seed (Forgy).
"""


def share(
    model: nn.Module,
    bits: int | Mapping[str, int] = 4,
    layers: Iterable[str] | None = None,
    *,
    start: Start = "linear",
    seed: int = 0,
) -> dict[str, Codebook]:
    """A codebook for each layer, by :func:`kmeans`. The network is not changed.

    Parameters
    ----------
    bits : int or mapping of layer name to int
        Width of each layer's labels. Of layers that a mapping does not name there is no codebook.
    layers : names of layers, optional
        Only these; default is those that ``bits`` names, or every one.
    start, seed
        As for :func:`kmeans`.
    """
    if not isinstance(bits, Mapping):
        found = weights(model, layers)
        widths = dict.fromkeys(found, bits)
    else:
        found, widths = weights(model, bits if layers is None else layers), dict(bits)
        unknown = [name for name in found if name not in widths]
        if unknown:
            raise UserError(f"no width of codes is given for layer {', '.join(unknown)}")
    return {name: kmeans(w, widths[name], start=start, seed=seed) for name, w in found.items()}


def kmeans(
    weight: Tensor,
    bits: int = 4,
    iterations: int = 10_000,
    *,
    start: Start = "linear",
    seed: int = 0,
) -> Codebook:
    """Find the shared values of one weight.

    A value in the middle of two centroids belongs to the lower one; a centroid that nobody is
    nearest to stays where it is. A weight with few enough distinct values is represented exactly.

    Parameters
    ----------
    weight : floating-point tensor of any shape
        Its zeros stay zero.
    bits : int, 1...8
        Width of a label.
    iterations : int
        Ends there if the centroids have not come to rest, which they do long before.
    start : one of :data:`STARTS`
        Where the centroids stand at first.
    seed : int
        Of the random start.
    """
    if start not in STARTS:
        raise UserError(f"k-means cannot start {start!r}; it can start {', '.join(STARTS)}")
    check_bits(bits)
    if not torch.isfinite(weight).all():
        raise UserError("weights that are NaN or infinite cannot be shared")
    values = weight.detach().to(torch.promote_types(weight.dtype, torch.float32)).numpy()
    kept = values != 0
    inner = values[kept]
    nonzeros = np.sort(inner)
    distinct, clusters = _distinct(nonzeros), 2**bits - 1
    if len(distinct) <= clusters:
        found = distinct.astype(np.float64)
    else:
        first = _first_centroids(nonzeros, distinct, clusters, start, seed)
        found = _lloyd(nonzeros, first, iterations)
    boundaries = torch.from_numpy(_boundaries(found, values.dtype))
    labels = np.zeros(values.shape, np.int64)
    labels[kept] = torch.bucketize(torch.from_numpy(inner), boundaries).add_(1).numpy()
    centroids = torch.zeros(2**bits, dtype=weight.dtype)
    centroids[1 : 1 + len(found)] = torch.from_numpy(found)
    return Codebook(centroids, torch.from_numpy(labels))


def check_bits(bits: int) -> None:
    """Refuse a width that codes cannot have."""
    if not isinstance(bits, int) or not 1 <= bits <= 8:
        raise UserError(f"sharing with codes of {bits} bits was asked for, allowed is 1...8")


def _distinct(nonzeros: np.ndarray) -> np.ndarray:
    """The distinct values of a sorted array."""
    begins = np.ones(len(nonzeros), bool)
    begins[1:] = nonzeros[1:] != nonzeros[:-1]
    return nonzeros[begins]


def _first_centroids(
    nonzeros: np.ndarray, distinct: np.ndarray, clusters: int, start: Start, seed: int
) -> np.ndarray:
    """Where the centroids of sorted values stand at first, ascending. Float64."""
    if start == "linear":
        return np.linspace(nonzeros[0], nonzeros[-1], clusters, dtype=np.float64)
    if start == "density":
        middles = (2 * np.arange(clusters) + 1) * len(nonzeros) // (2 * clusters)
        return nonzeros[middles].astype(np.float64)
    drawn = np.random.default_rng(seed).choice(distinct, clusters, replace=False)
    return np.sort(drawn).astype(np.float64)


def _lloyd(nonzeros: np.ndarray, first: np.ndarray, iterations: int) -> np.ndarray:
    """k-means in one dimension, on sorted values, from some centroids on.

    A cluster is a span there, and its sum a difference of two prefix sums: exact, and an iteration
    costs next to nothing however many values there are.
    """
    sums = np.zeros(len(nonzeros) + 1)
    np.cumsum(nonzeros, dtype=np.float64, out=sums[1:])
    centroids = first.copy()
    spans = None
    for _ in range(iterations):
        inner = np.searchsorted(nonzeros, _boundaries(centroids, nonzeros.dtype), side="right")
        before, spans = spans, np.concatenate([[0], inner, [len(nonzeros)]])
        if before is not None and np.array_equal(before, spans):
            break
        counts = np.diff(spans)
        np.divide(np.diff(sums[spans]), counts, out=centroids, where=counts > 0)
    return centroids


def _boundaries(centroids: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The largest number of ``dtype`` that is not beyond the middle of each two neighbours.

    Comparing with it is comparing with the middle itself, without widening millions of values.
    """
    middle = (centroids[1:] + centroids[:-1]) / 2
    rounded = middle.astype(dtype)
    return np.where(rounded > middle, np.nextafter(rounded, dtype.type(-np.inf)), rounded)


class SharedWeights:
    """Trains a network's shared values instead of its weights.

    The gradient of a shared value is the sum of the gradients of all weights that have it. Zeros
    and labels stay.

    Parameters
    ----------
    codebooks : mapping of layer name to Codebook
        Is not changed: :attr:`codebooks` gives the trained state.
    """

    def __init__(self, codebooks: Mapping[str, Codebook]):
        self._labels = {name: book.labels for name, book in codebooks.items()}
        self._centroids = {n: nn.Parameter(b.centroids.clone()) for n, b in codebooks.items()}

    @property
    def codebooks(self) -> dict[str, Codebook]:
        """The codebooks as they are now."""
        return {
            n: Codebook(self._centroids[n].detach().clone(), la) for n, la in self._labels.items()
        }

    def apply(self, model: nn.Module) -> None:
        """Give each weight its shared value, in place."""
        for name, weight in self._targets(model).items():
            self._write(name, weight)

    def parameters(self, model: nn.Module) -> list[nn.Parameter]:
        """What an optimizer is to change: shared values in place of weights, and all the rest."""
        shared = {id(weight) for weight in self._targets(model).values()}
        others = [p for p in model.parameters() if id(p) not in shared]
        return others + list(self._centroids.values())

    @contextmanager
    def keep(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
        """Within this context a step of an optimizer of :meth:`parameters` moves shared values."""
        targets = self._targets(model)
        self.apply(model)

        def gather(*_):
            for name, weight in targets.items():
                self._gather(name, weight)

        def write(*_):
            for name, weight in targets.items():
                self._write(name, weight)

        handles = [
            optimizer.register_step_pre_hook(gather),
            optimizer.register_step_post_hook(write),
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def penalty(self) -> Tensor | None:
        """Nothing is added to the loss."""
        return None

    def _targets(self, model: nn.Module) -> dict[str, nn.Parameter]:
        found = weights(model, self._labels)
        for name, weight in found.items():
            if weight.shape != self._labels[name].shape:
                raise UserError(
                    f"layer {name}: the labels have shape {tuple(self._labels[name].shape)}, "
                    f"the weight has {tuple(weight.shape)}"
                )
        return found

    def _gather(self, name: str, weight: nn.Parameter) -> None:
        """Sum the weight's gradient per shared value. Zero has no gradient."""
        if weight.grad is None:
            return
        centroids = self._centroids[name]
        total = torch.zeros_like(centroids)
        total.index_add_(0, self._labels[name].flatten(), weight.grad.flatten())
        total[0] = 0
        centroids.grad = total
        # The optimizer does not own the weight, so its zero_grad would never clear this.
        weight.grad = None

    @torch.no_grad()
    def _write(self, name: str, weight: nn.Parameter) -> None:
        weight.copy_(self._centroids[name][self._labels[name]])
