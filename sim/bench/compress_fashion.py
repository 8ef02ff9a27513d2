"""A small convolutional network on Fashion-MNIST: what N:M costs, and criteria compared."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from sim.bench.compress_seeds import SEEDS, Outcome, mean_and_spread, over_seeds, with_spread
from sim.bench.compress_training import error, mnist_like, train
from sim.tools import versions
from sw.compress.criteria.base import Batches
from sw.compress.data import Dataset
from sw.compress.layers import weights
from sw.compress.lifecycle import prepare
from sw.compress.models import small_convnet
from sw.compress.schedule import SrSte
from sw.compress.train import Training
from sw.host.table import align

NM_SOURCE = (
    "A network of three convolutions with BatchNorm and two Linears on all of Fashion-MNIST, "
    "pictures shifted by up to one pixel; errors are of the 10,000 pictures to test with. All "
    "layers but the first, which reads a single channel, are N:M. Retrained: pruned at once by "
    "magnitude after training, and then the same training once more: to compare with dense, as it "
    "is published, and with dense, twice, which was trained as long. SR-STE: from untrained "
    "weights, trained once: to compare with dense."
)
RANKING_SOURCE = (
    "The same network, trained once; errors right after pruning, and after a short fine-tuning, "
    "the same for all. Calibration on {calibration:,} pictures to train on. Weights: all layers, "
    "each of the same density. Channels: of all convolutions the same share goes. No network was "
    "trained with the penalty that scaling factors are meant for."
)


@dataclass(frozen=True)
class Plan:
    """How long to train, and what to compare."""

    training: Training
    tune: Training
    patterns: tuple[str, ...] = ("2:4", "1:4")
    densities: tuple[float, ...] = (0.5, 0.2, 0.1, 0.05)
    calibration: int = 1024
    decay: float = 0.02


PLAN = Plan(Training(8_000, rate=2e-3), Training(600, rate=5e-4))

FIRST = "conv1"
"""Stays dense, as is the custom for a layer that reads the picture: here, a single channel."""

RANKED = {
    "unstructured": ("magnitude", "second-order", "regression"),
    "channel": (
        "magnitude:l1",
        "magnitude",
        "scaling-factor",
        "second-order",
        "activation",
        "least-squares",
    ),
}
"""Criteria by pattern."""


def run_nm(seeds: Sequence[int] = SEEDS) -> dict:
    """N:M by retraining and from scratch; the result file's contents."""
    outcomes = over_seeds("fashion-nm", nm_of_seed, PLAN, seeds=seeds)
    names = [name for name in outcomes[0] if name != "seed"]
    return {
        "command": "python -m sim.bench compress fashion-nm",
        "tools": versions(),
        "source": NM_SOURCE,
        "plan": asdict(PLAN),
        "errors": {name: mean_and_spread(one[name] for one in outcomes) for name in names},
        "seeds": outcomes,
    }


def nm_of_seed(seed: int, plan: Plan) -> Outcome:
    """Errors in percent, by what was done."""
    data = mnist_like("fashion")
    dense = _untrained(seed)
    train(dense, data, plan.training, seed, "dense")
    found = {"dense": error(dense, data)}
    again = deepcopy(dense)
    train(again, data, plan.training, seed, "dense again")
    found["dense, twice"] = error(again, data)
    layers = [name for name in weights(dense) if name != FIRST]
    for pattern in plan.patterns:
        retrained = prepare(dense, pattern, layers=layers)
        train(retrained.model, data, plan.training, seed, pattern, retrained)
        found[f"{pattern}, retrained"] = error(retrained.finalize().model, data)
        schedule = SrSte(plan.decay)
        scratch = prepare(_untrained(seed), pattern, layers=layers, schedule=schedule)
        train(scratch.model, data, plan.training, seed, f"{pattern} SR-STE", scratch)
        found[f"{pattern}, SR-STE"] = error(scratch.finalize().model, data)
    return found


def run_ranking(seeds: Sequence[int] = SEEDS) -> dict:
    """Criteria at equal densities; the result file's contents."""
    outcomes = over_seeds("fashion-criteria", ranking_of_seed, PLAN, seeds=seeds)
    rows = [
        {
            "pattern": pattern,
            "criterion": criterion,
            "density": density,
            **{
                when: mean_and_spread(one["runs"][at][when] for one in outcomes)
                for when in ("pruned_error", "tuned_error")
            },
        }
        for at, (pattern, criterion, density) in enumerate(_ranked(PLAN))
    ]
    return {
        "command": "python -m sim.bench compress fashion-criteria",
        "tools": versions(),
        "source": RANKING_SOURCE.format(calibration=PLAN.calibration),
        "plan": asdict(PLAN),
        "dense_error": mean_and_spread(one["dense_error"] for one in outcomes),
        "rows": rows,
        "seeds": outcomes,
    }


def _ranked(plan: Plan) -> list[tuple[str, str, float]]:
    """Pattern, criterion and density of each run."""
    return [
        (pattern, criterion, density)
        for pattern, criteria in RANKED.items()
        for density in plan.densities
        for criterion in criteria
    ]


def ranking_of_seed(seed: int, plan: Plan) -> Outcome:
    """Errors in percent of each run."""
    data = mnist_like("fashion")
    dense = _untrained(seed)
    train(dense, data, plan.training, seed, "dense")
    batches = calibration(data, plan.calibration, seed)
    runs = []
    for pattern, criterion, density in _ranked(plan):
        compression = prepare(
            dense,
            pattern,
            density=_densities(dense, pattern, criterion, density),
            criterion=criterion,
            batches=batches,
        )
        pruned = error(compression.model, data)
        train(compression.model, data, plan.tune, seed, criterion, compression)
        tuned = error(compression.finalize().model, data)
        runs.append({"pruned_error": pruned, "tuned_error": tuned})
    return {"dense_error": error(dense, data), "runs": runs}


def _densities(model: nn.Module, pattern: str, criterion: str, density: float) -> dict[str, float]:
    """Of each layer. Channels go from convolutions; least squares makes up for them behind."""
    if pattern != "channel":
        return dict.fromkeys(weights(model), density)
    shares = {name: density for name in weights(model) if name.startswith("conv")}
    return shares | ({"fc1": 1.0} if criterion == "least-squares" else {})


def calibration(data: Dataset, count: int, seed: int) -> Batches:
    """Some pictures to train on."""
    chosen = torch.randperm(len(data.train_images), generator=torch.Generator().manual_seed(seed))
    images, labels = data.train_images[chosen[:count]], data.train_labels[chosen[:count]]
    return list(zip(images.split(128), labels.split(128), strict=True))


def _untrained(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return small_convnet()


def nm_table(document: dict[str, Any]) -> str:
    """For people."""
    rows = [[name, with_spread(value)] for name, value in document["errors"].items()]
    return "\n".join([document["source"], "", *align([["", "error %"], *rows])])


def ranking_table(document: dict[str, Any]) -> str:
    """For people."""
    head = ["pattern, criterion", "density", "pruned: error %", "tuned"]
    rows = [
        [
            f"{one['pattern']}, {one['criterion']}",
            f"{one['density']:g}",
            with_spread(one["pruned_error"]),
            with_spread(one["tuned_error"]),
        ]
        for one in document["rows"]
    ]
    return "\n".join([document["source"], "", *align([head, *rows])])
