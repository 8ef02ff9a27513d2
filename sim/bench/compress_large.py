"""How long a very large layer takes to prune and share, and how much memory."""

import resource
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from sim.bench.compress_seeds import SEEDS, mean_and_spread
from sim.tools import versions
from sw.compress.prune import magnitude
from sw.compress.share import share
from sw.host.table import align

# VGG-16's fc6: the largest layer of Deep Compression's tables, kept to 4 % and shared to 5 bits.
INPUTS, OUTPUTS = 25_088, 4_096
DENSITY, BITS = 0.04, 5

SOURCE = (
    f"One Linear of {INPUTS} inputs and {OUTPUTS} outputs with normally distributed weights: "
    f"pruned by magnitude to {DENSITY:.0%}, then shared with {BITS} bits. Seconds are of this "
    "machine; memory is the most that the process ever had."
)

STATUS = Path("/proc/self/status")


def run(seeds: Sequence[int] = SEEDS) -> dict[str, Any]:
    """Measure a layer for each seed; the result file's contents."""
    runs = [run_one(seed) for seed in tqdm(seeds, "large layer", leave=False)]
    return {
        "command": "python -m sim.bench compress large",
        "tools": versions(),
        "source": SOURCE,
        "total_seconds": mean_and_spread(one["seconds"]["total"] for one in runs),
        "gigabytes": mean_and_spread(one["gigabytes"] for one in runs),
        "seeds": runs,
    }


def table(document: dict[str, Any]) -> str:
    """For people."""
    head = ["seed", "prune s", "share s", "total s", "peak GB"]
    rows = [
        [
            str(one["seed"]),
            *(f"{one['seconds'][step]:.1f}" for step in ("prune", "share", "total")),
            f"{one['gigabytes']:.2f}",
        ]
        for one in document["seeds"]
    ]
    return "\n".join([document["source"], "", *align([head, *rows])])


def run_one(
    seed: int,
    inputs: int = INPUTS,
    outputs: int = OUTPUTS,
    density: float = DENSITY,
    bits: int = BITS,
) -> dict[str, Any]:
    """Prune by magnitude and share one layer of normally distributed weights, in a new process.

    Returns
    -------
    dict
        Sizes as given; ``kept`` weights; ``seconds`` to ``prune``, to ``share`` and in ``total``,
        without drawing the weights; ``gigabytes``, the most memory that the process ever had: the
        weights and Python with torch are in it.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, seed, inputs, outputs, density, bits).result()


def measure(seed: int, inputs: int, outputs: int, density: float, bits: int) -> dict[str, Any]:
    """The same within this process, whose memory may have been larger before."""
    model = nn.Sequential(nn.utils.skip_init(nn.Linear, inputs, outputs, bias=False))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.01, generator=generator)
    began = time.monotonic()
    masks = magnitude(model, density)
    masks.apply(model)
    pruned = time.monotonic()
    books = share(model, bits)
    ended = time.monotonic()
    return {
        "seed": seed,
        "inputs": inputs,
        "outputs": outputs,
        "density": density,
        "bits": bits,
        "kept": masks.kept,
        "values": sum(int(book.centroids.count_nonzero()) for book in books.values()),
        "seconds": {"prune": pruned - began, "share": ended - pruned, "total": ended - began},
        "gigabytes": peak_bytes() / 1e9,
    }


def peak_bytes() -> int:
    """The most memory that this process ever had in use."""
    # Linux passes the usage of the process that started this one on to getrusage, but not to this.
    if STATUS.is_file():
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
