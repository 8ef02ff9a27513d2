"""LeNet on all of MNIST, pruned and shared as far as the literature goes: error, weights, bytes."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from sim.bench.compress_seeds import SEEDS, Outcome, mean_and_spread, over_seeds, with_spread
from sim.bench.compress_training import error, mnist_like, train
from sim.tools import versions
from sw.compress.data import Dataset
from sw.compress.lifecycle import prepare
from sw.compress.models import lenet_5, lenet_300_100
from sw.compress.schedule import SrSte
from sw.compress.share import SharedWeights, share
from sw.compress.stored import parts, to_bytes
from sw.compress.train import Training
from sw.host.table import align

SOURCE = (
    "All 60,000 pictures of MNIST to train on, each shifted by up to one pixel; errors are of the "
    "10,000 to test with, by which the settings were tried out, too, with seed 1. All layers "
    "compete for weights by magnitude; masks may change until four fifths of the pruning (SR-STE "
    "along a cubic curve). Bytes are those of a file with everything in it (sw.compress.stored): "
    "codes and indices Huffman-coded, tables, codebooks, biases in 16 bits."
)


@dataclass(frozen=True)
class Level:
    """How far to prune, and how.

    Attributes
    ----------
    density : float
        Of all weights together.
    prune, share : Training
        Until the masks stay and beyond; with shared values.
    bits : int
        Width of a shared value's number.
    decay : float
        Of masked weights, while they may come back.
    """

    density: float
    prune: Training
    share: Training
    bits: int = 4
    decay: float = 0.1


@dataclass(frozen=True)
class Plan:
    """A network, how it is trained dense, and the levels it is pruned to, each from the dense."""

    network: str
    train: Training
    levels: tuple[Level, ...]


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "lenet-300-100": lenet_300_100,
    "lenet-5": lenet_5,
}


def run(name: str, seeds: Sequence[int] = SEEDS) -> dict:
    """Measure one network; the result file's contents."""
    plan = PLANS[name]
    outcomes = over_seeds(name, one_seed, plan, seeds=seeds)
    return {
        "command": f"python -m sim.bench compress {name}",
        "tools": versions(),
        "source": SOURCE,
        "plan": asdict(plan),
        "dense_error": mean_and_spread(one["dense_error"] for one in outcomes),
        "dense_bytes": outcomes[0]["dense_bytes"],
        "levels": [
            _summary([one["levels"][at] for one in outcomes]) for at in range(len(plan.levels))
        ],
        "seeds": outcomes,
    }


def _summary(levels: list[Outcome]) -> Outcome:
    names = ("pruned_error", "shared_error", "bytes", "ratio")
    return {
        "density": levels[0]["density"],
        "kept": levels[0]["kept"],
        "weights": levels[0]["weights"],
        "bits": levels[0]["bits"],
        **{name: mean_and_spread(one[name] for one in levels) for name in names},
    }


def one_seed(seed: int, plan: Plan) -> Outcome:
    """Train, and compress to each level."""
    data = mnist_like("mnist")
    torch.manual_seed(seed)
    dense = NETWORKS[plan.network]()
    train(dense, data, plan.train, seed, "dense")
    size = sum(4 * value.numel() for value in dense.state_dict().values())
    return {
        "dense_error": error(dense, data),
        "dense_bytes": size,
        "levels": [_level(dense, data, level, seed, size) for level in plan.levels],
    }


def _level(dense: nn.Module, data: Dataset, level: Level, seed: int, size: int) -> Outcome:
    steps = level.prune.steps
    schedule = SrSte(level.decay, every=50, ramp=steps * 3 // 5, until=steps * 4 // 5)
    compression = prepare(dense, density=level.density, scope="global", schedule=schedule)
    train(compression.model, data, level.prune, seed, "prune", compression)
    finished = compression.finalize()
    shared = deepcopy(finished.model)
    values = SharedWeights(share(shared, level.bits))
    train(shared, data, level.share, seed, "share", values)
    stored = to_bytes(parts(_narrow(shared)))
    return {
        "density": finished.masks.density,
        "kept": finished.masks.kept,
        "weights": finished.masks.total,
        "bits": level.bits,
        "kept_by_layer": {name: int(mask.sum()) for name, mask in finished.masks.items()},
        "pruned_error": error(finished.model, data),
        "shared_error": error(shared, data),
        "bytes": len(stored),
        "ratio": size / len(stored),
    }


@torch.no_grad()
def _narrow(model: nn.Module) -> nn.Module:
    """All values in place as 16 bits hold them."""
    for value in model.parameters():
        value.copy_(value.half().float())
    return model


def table(document: dict[str, Any]) -> str:
    """For people."""
    head = ["weights kept", "error %", "shared", "bytes", "ratio"]
    dense = [
        "all",
        with_spread(document["dense_error"]),
        "",
        str(document["dense_bytes"]),
        "1",
    ]
    rows = [
        [
            f"{100 * one['density']:.2f} %",
            with_spread(one["pruned_error"]),
            with_spread(one["shared_error"]),
            with_spread(one["bytes"], 0),
            with_spread(one["ratio"], 1),
        ]
        for one in document["levels"]
    ]
    return "\n".join([document["source"], "", *align([head, dense, *rows])])


PLANS = {
    "lenet-300-100": Plan(
        "lenet-300-100",
        Training(20_000, rate=1e-3, batch=128),
        (
            Level(0.08, Training(20_000, 2e-3, batch=128), Training(5_000, 2e-4, batch=128)),
            Level(0.018, Training(40_000, 2e-3, batch=128), Training(5_000, 2e-4, batch=128)),
        ),
    ),
    "lenet-5": Plan(
        "lenet-5",
        Training(15_000, rate=1e-3),
        (
            Level(0.008, Training(20_000, 2e-3), Training(3_000, 2e-4)),
            Level(0.00405, Training(20_000, 2e-3), Training(3_000, 2e-4)),
        ),
    ),
}
"""How each network is compressed."""
