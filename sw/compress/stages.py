"""How many bits a layer takes at each stage of Deep Compression.

========= ====================================================================================
dense     all weights, 32 bits each
pruned    only those that are not zero; where they are is not told yet
shared    a code each, and the values that codes stand for, 32 bits each
indexed   and a run of zeros in front of each: entries, pads among them, of the best width of runs
huffman   codes and runs of these entries Huffman-coded, each layer with tables of its own
stored    what the layer really takes in a file, :mod:`sw.compress.stored`
========= ====================================================================================

Layers are walked through column by column, and runs go on from one column into the next, so there
are no pointers. A weight that is not shared stays at 32 bits in all stages behind it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from spec.config import bits_for
from spec.errors import UserError
from sw.compress.coded import MOST_SHARED, as_matrix
from sw.compress.huffman import Code
from sw.compress.runs import MOST_RUN_BITS, Gaps
from sw.compress.share import Codebook
from sw.compress.stored import Part

FLOAT_BITS = 32

STAGES = ("dense", "pruned", "shared", "indexed", "huffman", "stored")


@dataclass(frozen=True, kw_only=True)
class Stages:
    """Bits of one layer.

    Attributes
    ----------
    bits : mapping of stage to int
        Without ``shared`` if weights are not shared.
    values : int or None
        Shared values besides zero; None if they are too many to be shared.
    code_bits : int
        Of a code; of a weight, if it is not shared.
    run_bits, pads : int
        Width of the runs of ``indexed``, and its entries that only carry a long run.
    huffman_run_bits, huffman_pads : int
        The same for ``huffman``.
    """

    bits: Mapping[str, int]
    values: int | None
    code_bits: int
    run_bits: int
    pads: int
    huffman_run_bits: int
    huffman_pads: int


def stages(
    name: str, weight: Tensor, codebook: Codebook | None = None, part: Part | None = None
) -> Stages:
    """Count the bits of a layer.

    Parameters
    ----------
    codebook : Codebook, optional
        Says how wide codes are. Else the distinct values of the weight are its shared values, if
        they are at most 255, and that takes fewer bits.
    part : Part, optional
        The weight in a file, if it is known already.

    Raises
    ------
    UserError
        The codebook is of other weights than these.
    """
    by_columns = as_matrix(weight.detach().float()).T.reshape(-1).numpy()
    gaps, kept = Gaps.of(by_columns), by_columns[by_columns != 0]
    distinct, codes = np.unique(kept, return_inverse=True)
    if codebook is not None:
        _check_codebook(name, weight, codebook)
    is_shared = codebook is not None or _pays(len(distinct), len(kept))
    code_bits = _code_bits(len(distinct), codebook) if is_shared else FLOAT_BITS
    book_bits = FLOAT_BITS * len(distinct) if is_shared else 0
    counts = np.bincount(codes, minlength=len(distinct)) if is_shared else None

    run_bits = gaps.best_run_bits(code_bits)
    of_huffman = {
        bits: _huffman(gaps, bits, counts, len(kept)) for bits in range(1, MOST_RUN_BITS + 1)
    }
    huffman_run_bits = min(of_huffman, key=lambda bits: of_huffman[bits])
    bits = {
        "dense": FLOAT_BITS * weight.numel(),
        "pruned": FLOAT_BITS * len(kept),
        "shared": code_bits * len(kept) + book_bits,
        "indexed": (code_bits + run_bits) * gaps.entries(run_bits) + book_bits,
        "huffman": of_huffman[huffman_run_bits] + book_bits,
        "stored": 8 * len((part or Part.of(weight)).data),
    }
    if not is_shared:
        del bits["shared"]
    return Stages(
        bits=bits,
        values=len(distinct) if is_shared else None,
        code_bits=code_bits,
        run_bits=run_bits,
        pads=gaps.pads(run_bits),
        huffman_run_bits=huffman_run_bits,
        huffman_pads=gaps.pads(huffman_run_bits),
    )


def _huffman(gaps: Gaps, run_bits: int, counts: np.ndarray | None, kept: int) -> int:
    """Bits of entries with runs of some width: tables, runs and codes, or weights as they are."""
    runs, pads = gaps.run_counts(run_bits), gaps.pads(run_bits)
    total = _coded(runs)
    if counts is None:
        return total + FLOAT_BITS * (kept + pads)
    return total + _coded(np.concatenate([[pads], counts]))


def _coded(counts: np.ndarray) -> int:
    code = Code.of(counts)
    return code.table_bits + code.bits(counts)


def _code_bits(distinct: int, codebook: Codebook | None) -> int:
    """Bits of a code, 0 among the values that it may have."""
    values = distinct if codebook is None else len(codebook.centroids) - 1
    return bits_for(values)


def _pays(distinct: int, kept: int) -> bool:
    """Whether codes and their values take fewer bits than the weights themselves."""
    bits = _code_bits(distinct, None) * kept + FLOAT_BITS * distinct
    return distinct <= MOST_SHARED and bits <= FLOAT_BITS * kept


def _check_codebook(name: str, weight: Tensor, codebook: Codebook) -> None:
    if codebook.labels.shape != weight.shape:
        raise UserError(
            f"layer {name}: the labels have shape {tuple(codebook.labels.shape)}, the weight has "
            f"{tuple(weight.shape)}"
        )
    other = int((codebook.expand() != weight.detach()).sum())
    if other:
        raise UserError(
            f"layer {name}: {other} of {weight.numel()} weights are not what its codebook says; "
            "give the network its shared values first (SharedWeights.apply)"
        )
