"""Experiments that are repeated with several seeds: outcomes are kept until all are there,
so that what was interrupted goes on where it was."""

import hashlib
import json
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from spec.files import make_folder, read_file, write_file

SEEDS = (1, 2, 3)
KEPT = Path("build") / "compress"

Outcome = dict[str, Any]


def over_seeds(
    name: str,
    run: Callable[..., Outcome],
    *arguments: Any,
    seeds: Sequence[int] = SEEDS,
    processes: int = 2,
) -> list[Outcome]:
    """``run(seed, *arguments)`` for each seed, several at a time, each on one thread.

    What ran with the same arguments before is taken from ``build/compress/``; remove that folder
    after a change of code.
    """
    mark = hashlib.sha256(repr(arguments).encode()).hexdigest()[:12]
    files = {seed: KEPT / f"{name}-{mark}-{seed}.json" for seed in seeds}
    make_folder(KEPT)
    missing = [seed for seed, file in files.items() if not file.is_file()]
    with ProcessPoolExecutor(processes, get_context("spawn"), _one_thread) as pool:
        waiting = {pool.submit(run, seed, *arguments): files[seed] for seed in missing}
        for one in tqdm(as_completed(waiting), name, len(waiting), unit="seed", leave=False):
            if one.exception() is None:  # others are kept first
                write_file(waiting[one], json.dumps(one.result()).encode())
        for one in waiting:
            one.result()
    return [{"seed": seed, **json.loads(read_file(file))} for seed, file in files.items()]


def _one_thread() -> None:
    """Networks are small, and sums are the same on any number of cores."""
    torch.set_num_threads(1)


def mean_and_spread(values: Iterable[float]) -> dict[str, float]:
    """The mean, and the standard deviation of a single value."""
    found = list(values)
    spread = statistics.stdev(found) if len(found) > 1 else math.nan
    return {"mean": statistics.fmean(found), "spread": spread}


def with_spread(value: dict[str, float], digits: int = 2) -> str:
    """A mean and its spread, for people."""
    return f"{value['mean']:.{digits}f} ± {value['spread']:.{digits}f}"
