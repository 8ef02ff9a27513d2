"""What channel permutation is worth on random matrices, beside the published figure."""

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from sim.bench.compress_seeds import SEEDS, mean_and_spread
from sim.tools import versions
from spec.errors import UserError
from sw.compress.permutation_search import kept, search
from sw.host.table import align

SIZES = ((128, 64), (768, 768))
PATTERNS = ((2, 4), (1, 4))
VALUES = ("uniform", "normal")

SOURCE = (
    "Random matrices, their columns as drawn and permuted. Closed is the share of the gap between "
    "plain N:M and the best weights of the whole matrix; Pool and Yu (2021) count to the best "
    "weights of each row instead, and close 35.5 % of that on one uniform matrix of 128x64."
)

PUBLISHED = {"matrix": "128x64", "values": "uniform", "seed": 1, "pattern": "2:4"}
"""The matrix of the published figures."""

FIGURES = ("dense", "plain", "permuted", "unstructured", "rows", "closed", "closed_of_rows")


def run(seeds: Sequence[int] = SEEDS) -> dict:
    """Measure; the result file's contents."""
    return {
        "command": "python -m sim.bench compress permutation",
        "tools": versions(),
        "source": SOURCE,
        **permutation_table(seeds),
    }


def table(document: dict) -> str:
    """For people."""
    head = ["matrix", "pattern", "closed", "of best per row", "seconds"]
    rows = [
        [
            f"{one['values']} {one['matrix']}",
            one["pattern"],
            f"{one['closed']['mean']:.1%}",
            f"{one['closed_of_rows']['mean']:.1%}",
            f"{one['seconds']['mean']:.1f}",
        ]
        for one in document["figures"]
    ]
    return "\n".join([document["source"], "", *align([head, *rows])])


def permutation_table(seeds: Sequence[int] = (1, 2, 3), swaps: int | None = None) -> dict:
    """What N:M masks keep of random matrices, with their columns as drawn and permuted.

    Parameters
    ----------
    seeds : sequence of int
        Of the matrices, and of the search.
    swaps : int, optional
        Of :func:`sw.compress.permutation_search.search`.

    Returns
    -------
    dict
        ``figures``: one entry for each size, distribution and pattern. Each has sums of magnitudes,
        as ``mean`` and ``spread`` (standard deviation) over the seeds: ``dense``, ``plain``
        (N:M as drawn), ``permuted``, ``unstructured`` (the best N/M of the matrix), ``rows`` (the
        best N/M of each row). ``closed`` is the share of the gap between plain and unstructured
        that the permutation closes; ``closed_of_rows`` that between plain and rows, which is how
        Pool & Yu count. ``published`` is the same of the one matrix that they show.
    """
    if not seeds:
        raise UserError("no seeds were given; the table needs at least one")
    cases = [(size, values, nm) for size in SIZES for values in VALUES for nm in PATTERNS]
    figures = []
    for size, values, (n, m) in tqdm(cases, desc="permutations", unit="matrix"):
        runs = [_figures(_draw(size, values, seed), n, m, seed, swaps) for seed in seeds]
        entry: dict = {"matrix": f"{size[0]}x{size[1]}", "values": values, "pattern": f"{n}:{m}"}
        for name in (*FIGURES, "seconds"):
            own = [run[name] for run in runs]
            entry[name] = mean_and_spread(own)
        figures.append(entry)
    seed = PUBLISHED["seed"]
    published = _figures(_draw(SIZES[0], PUBLISHED["values"], seed), 2, 4, seed, swaps)
    return {"seeds": list(seeds), "figures": figures, "published": {**PUBLISHED, **published}}


def _draw(size: tuple[int, int], values: str, seed: int) -> Tensor:
    """Magnitudes; uniform ones as Pool & Yu draw theirs."""
    numbers = np.random.RandomState(seed)
    drawn = numbers.rand(*size) if values == "uniform" else numbers.randn(*size)
    return torch.from_numpy(np.abs(drawn))


def _figures(scores: Tensor, n: int, m: int, seed: int, swaps: int | None) -> dict[str, float]:
    start = time.perf_counter()
    order = search(scores, n, m, seed, swaps)
    seconds = time.perf_counter() - start
    plain, permuted = kept(scores, n, m), kept(scores[:, order], n, m)
    unstructured = float(scores.flatten().topk(scores.numel() * n // m).values.sum())
    rows = float(scores.topk(scores.shape[1] * n // m).values.sum())
    return {
        "dense": float(scores.sum()),
        "plain": plain,
        "permuted": permuted,
        "unstructured": unstructured,
        "rows": rows,
        "closed": (permuted - plain) / (unstructured - plain),
        "closed_of_rows": (permuted - plain) / (rows - plain),
        "seconds": seconds,
    }
