"""What a layer takes in the stored form of each engine, as :mod:`spec` has it.

Only where weights are matters. The compiler may do better: it lets rows change places, divides the
array into clusters, and drops inputs of strips. ``python -m spec.image`` tells what is in an image.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from spec.eie.config import EieConfig
from spec.eie.csc import Csc, encode
from spec.errors import UserError
from spec.nm.config import DENSE, Mode, NmConfig
from spec.nm.groups import check_pattern, storage_bits
from sw.compress.coded import as_matrix


@dataclass(frozen=True, kw_only=True)
class EieForm:
    """A matrix on an EIE array, plainly interleaved, in one cluster.

    Attributes
    ----------
    pes : int
        Of the array.
    most_values : int
        Values besides zero that its codebooks hold.
    entries, pads : int
        Entries in all; those of them that only carry a long run.
    run_bits : int
        The width with which entries take the fewest bits, of those that the array has.
    entry_bits, pointer_bits : int
        Of all entries; of all pointers, one per column and PE and one more.
    imbalance : float
        Entries of the PE that has most, as a multiple of the mean.
    """

    pes: int
    most_values: int
    entries: int
    pads: int
    run_bits: int
    entry_bits: int
    pointer_bits: int
    imbalance: float

    @property
    def bytes(self) -> float:
        """Entries and pointers."""
        return (self.entry_bits + self.pointer_bits) / 8


@dataclass(frozen=True, kw_only=True)
class NmForm:
    """A matrix on an N:M array.

    Attributes
    ----------
    pattern : str
        The mode of the array with the fewest weights that the zeros follow; ``1:1`` is dense.
    channels_last : bool
        Of a convolution: they follow it along its channels, and not along its window.
    bits : int
        Of values and places.
    zeros : int
        Values that are zero, because a group has fewer weights than the pattern keeps.
    wanted : str
        The mode that would halve a dense matrix, if the array has one: ``2:4`` or the like.
    broken, groups : int
        Groups that have too many weights for it, and groups in all.
    """

    pattern: str
    channels_last: bool
    bits: int
    zeros: int
    wanted: str | None
    broken: int
    groups: int

    @property
    def bytes(self) -> float:
        return self.bits / 8

    @property
    def is_dense(self) -> bool:
        return self.pattern == str(DENSE)


def eie_form(weight: Tensor, config: EieConfig) -> EieForm:
    """The form of a matrix, shape (outputs, inputs)."""
    places = (weight.detach() != 0).numpy().astype(np.uint8)
    widths = range(config.run_bits, config.run_bits_most + 1)
    stored = [encode(places, config.pes, bits) for bits in widths]
    best = min(stored, key=lambda csc: _entry_bits(csc, config))
    of_pes = best.pointers[:, -1]
    return EieForm(
        pes=config.pes,
        most_values=config.codes - 1,
        entries=len(best.code),
        pads=int(best.pads.sum()),
        run_bits=best.run_bits,
        entry_bits=_entry_bits(best, config),
        pointer_bits=best.pointers.size * config.pointer_bits,
        imbalance=float(of_pes.max() / of_pes.mean()) if len(best.code) else 1.0,
    )


def _entry_bits(csc: Csc, config: EieConfig) -> int:
    return len(csc.code) * (config.code_bits + csc.run_bits)


def nm_form(weight: Tensor, config: NmConfig) -> NmForm:
    """The form of a matrix, or of a convolution's kernels."""
    orders = [as_matrix(weight)]
    if weight.ndim > 2:
        orders.append(as_matrix(weight.movedim(1, -1)))
    places = [(order.detach() != 0).numpy() for order in orders]
    kept = int(places[0].sum())
    modes = sorted(config.modes, key=lambda mode: (mode.n / mode.m, mode))
    mode, last = next(
        (mode, last)
        for mode in modes
        for last, one in enumerate(places)
        if broken_groups(one, mode) == 0
    )
    halving = [mode for mode in config.modes if 2 * mode.n == mode.m]
    wanted = max(halving, key=lambda mode: (mode.m <= 4, mode)) if halving else None
    rows, inputs = places[0].shape
    slots = rows * -(-inputs // mode.m) * mode.n
    return NmForm(
        pattern=str(mode),
        channels_last=bool(last),
        bits=storage_bits(rows, inputs, mode, config.weight_bits),
        zeros=slots - kept,
        wanted=str(wanted) if wanted else None,
        broken=min(broken_groups(one, wanted) for one in places) if wanted else 0,
        groups=rows * -(-inputs // wanted.m) if wanted else 0,
    )


def broken_groups(places: np.ndarray, mode: Mode) -> int:
    """Groups that have more weights than a mode allows."""
    whole = np.pad(places, ((0, 0), (0, -places.shape[1] % mode.m)))
    try:
        check_pattern(whole, mode)
    except UserError:
        counts = np.count_nonzero(whole.reshape(len(whole), -1, mode.m), axis=2)
        return int((counts > mode.n).sum())
    return 0
