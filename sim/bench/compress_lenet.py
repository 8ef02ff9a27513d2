"""LeNet on all of MNIST, pruned and shared to the densities of the literature: error, weights,
bytes."""

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
from sw.compress.train import TEMPERATURE, Training
from sw.host.table import align

SOURCE = (
    "All 60,000 pictures of MNIST to train on, distorted at random (each by up to one pixel of "
    "shift, 8 degrees, a tenth of stretch and of shear), for dense and pruned networks alike; "
    "errors are of the 10,000 to test with, by which the settings were tried out, too, with seed "
    "1, which is one of the three. Dense networks are trained for {dense:,} steps; each pruned "
    "one starts from them and is trained for {more} steps more, on pictures in the same order, so"
    " part of what it reaches is training. {taught}Masks go by magnitude, {shares}; at first they"
    " change every {every} steps (in the manner of dynamic network surgery, with SR-STE's "
    "gradient, the density falling along a cubic curve), then they stay. Bytes are those of a "
    "file with everything in it (sw.compress.stored): codes and indices Huffman-coded, tables, "
    "codebooks; biases and shared values have 16 bits, also for the error."
)

EVERY = 50
"""Steps after which masks are chosen anew, as long as they change."""

PUBLISHED = {
    "lenet-300-100": "8 % kept, error from 1.64 to 1.58 %, 40 times smaller (Han et al., 2016); "
    "1.8 % kept, error from 2.28 to 1.99 % (Guo et al., 2016).",
    "lenet-5": "8 % kept, error from 0.80 to 0.74 %, 39 times smaller (Han et al., 2016); 0.9 % "
    "kept, error 0.91 % as before (Guo et al., 2016); 0.41 % kept (Ye et al., 2019).",
}
"""What others reached."""


@dataclass(frozen=True)
class Level:
    """How far to prune, and how.

    Attributes
    ----------
    density : float or dict of layer name to float
        Of all weights together, which then compete; or of each layer.
    prune, share : Training
        While masks change and after they are fixed; fine-tuning of the shared values.
    bits : int
        Width of a shared value's number.
    decay : float
        Of masked weights, while they may come back.
    ramp, until : float
        Shares of the steps of pruning: until the density is reached, and until the masks stay.
    taught : bool
        The dense network is the teacher of both trainings.
    """

    density: float | dict[str, float]
    prune: Training
    share: Training
    bits: int = 4
    decay: float = 0.1
    ramp: float = 0.4
    until: float = 0.6
    taught: bool = False


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
        "source": SOURCE.format(**_said(plan)),
        "published": PUBLISHED[name],
        "plan": asdict(plan),
        "dense_error": mean_and_spread(one["dense_error"] for one in outcomes),
        "dense_bytes": outcomes[0]["dense_bytes"],
        "levels": [
            _summary([one["levels"][at] for one in outcomes]) for at in range(len(plan.levels))
        ],
        "seeds": outcomes,
    }


def _said(plan: Plan) -> dict[str, object]:
    """What the networks differ in, for people."""
    ((by_layer, taught),) = {(isinstance(one.density, dict), one.taught) for one in plan.levels}
    more = [one.prune.steps + one.share.steps for one in plan.levels]
    return {
        "dense": plan.train.steps,
        "every": EVERY,
        "more": " or ".join(f"{steps:,}" for steps in dict.fromkeys(more)),
        "taught": "Throughout, the dense network's outputs count as much as the classes "
        f"(distillation, temperature {TEMPERATURE:g}). "
        if taught
        else "",
        "shares": "with a share for each layer" if by_layer else "and all layers compete",
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
    # A faster layout for convolutions on CPUs; it changes no shape.
    dense.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    train(dense, data, plan.train, seed, "dense")
    size = sum(4 * value.numel() for value in dense.state_dict().values())
    return {
        "dense_error": error(dense, data),
        "dense_bytes": size,
        "levels": [_level(dense, data, level, seed, size) for level in plan.levels],
    }


def _level(dense: nn.Module, data: Dataset, level: Level, seed: int, size: int) -> Outcome:
    ramp, until = (round(share * level.prune.steps) for share in (level.ramp, level.until))
    compression = prepare(
        dense,
        density=level.density,
        scope="layer" if isinstance(level.density, dict) else "global",
        schedule=SrSte(level.decay, every=EVERY, ramp=ramp, until=until),
    )
    teacher = dense if level.taught else None
    train(compression.model, data, level.prune, seed, "prune", compression, teacher)
    finished = compression.finalize()
    shared = deepcopy(finished.model)
    values = SharedWeights(share(shared, level.bits))
    train(shared, data, level.share, seed, "share", values, teacher)
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
    lines = align([head, dense, *rows])
    return "\n".join([document["source"], "", *lines, "", f"Published: {document['published']}"])


PLANS = {
    "lenet-300-100": Plan(
        "lenet-300-100",
        Training(20_000, rate=1e-3, batch=128),
        (
            Level(
                0.08,
                Training(40_000, 2e-3, 2e-6, 128),
                Training(5_000, 4e-4, batch=128),
                bits=5,
                taught=True,
            ),
            Level(
                0.018,
                Training(30_000, 2e-3, 2e-6, 128),
                Training(5_000, 2e-4, batch=128),
                taught=True,
            ),
        ),
    ),
    "lenet-5": Plan(
        "lenet-5",
        Training(10_000, rate=1e-3),
        (
            Level(
                {"conv1": 0.34, "conv2": 0.044, "fc1": 0.0043, "fc2": 0.086},
                Training(15_000, 2e-3, 2e-6),
                Training(2_000, 2e-4),
                ramp=0.3,
                until=0.5,
                taught=True,
            ),
            Level(
                {"conv1": 0.2, "conv2": 0.022, "fc1": 0.002, "fc2": 0.052},
                Training(12_000, 2e-3, 2e-6),
                Training(2_000, 2e-4),
                ramp=0.3,
                until=0.5,
                taught=True,
            ),
        ),
    ),
}
"""How each network is compressed."""
