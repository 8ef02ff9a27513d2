"""The scan: points one after another, or in several processes, each kept in a file at once."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn
from tqdm import tqdm

from spec.errors import UserError
from sw.compress import patterns as all_patterns
from sw.compress.choice import losing_channels
from sw.compress.criteria.base import Batches, Criterion, Loss, lasting
from sw.compress.layers import weights
from sw.compress.patterns import Pattern
from sw.compress.patterns.groups import Channel
from sw.compress.prune import kept_count
from sw.compress.scan.measure import Accuracy, Measure, digest, measured, told
from sw.compress.scan.points import Point, Scan, read
from sw.compress.scan.work import Job, Task, results

DENSITIES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05)


def scan(
    model: nn.Module,
    measure: Measure | tuple[Tensor, Tensor],
    *,
    pattern: str | Pattern | Sequence[str | Pattern] = "unstructured",
    criterion: str | Criterion = "magnitude",
    densities: Sequence[float] = DENSITIES,
    layers: Iterable[str] | None = None,
    batches: Batches | None = None,
    loss: Loss = nn.functional.cross_entropy,
    path: Path | str | None = None,
    workers: int | None = None,
) -> Scan:
    """Prune each layer by itself to several densities, and measure the network each time.

    Parameters
    ----------
    model : nn.Module
        Is not changed.
    measure : function of a network, or (images, labels)
        How good a network is, more is better; with pictures and their classes, the accuracy.
    pattern : text or Pattern, or several
        Each is scanned at the densities that it can have; N:M at its own.
    criterion, batches, loss
        As for :func:`sw.compress.lifecycle.prepare`.
    densities : floats
    layers : names, optional
        Default is all; with the pattern ``channel``, all that can lose some.
    path : file, optional
        Gets every point as soon as there is one. If it exists, the scan goes on from there, and
        takes further densities and layers into it.
    workers : int, optional
        Processes. Default is one, and as many as there are cores once it shows that the rest
        would take one process longer than a few seconds.

    Raises
    ------
    UserError
        For what ``prepare`` refuses; and if the file is of another network, criterion, pattern or
        measure.
    """
    rate = measure if callable(measure) else Accuracy(*measure)
    several = [pattern] if isinstance(pattern, (str, Pattern)) else pattern
    kinds = [all_patterns.parse(one) for one in several]
    if workers is not None and workers < 1:
        raise UserError(f"{workers} worker processes were asked for, must be at least 1")
    batches = lasting(batches)
    found = _layers(model, layers, kinds, batches)
    wanted = [Task(name, *pair) for name in found for pair in _pairs(kinds, densities)]
    state = Scan(
        network=digest(model, batches),
        criterion=told(criterion),
        patterns=[str(kind) for kind in kinds],
        dense=measured(rate, model),
        sizes={name: weight.numel() for name, weight in found.items()},
    )
    if path is not None and Path(path).exists():
        state = _resumed(read(path), state, path)
    job = Job(model, rate, criterion, batches, loss)
    return _measured(_with_dense(state, wanted), wanted, job, path, workers)


def _layers(
    model: nn.Module,
    layers: Iterable[str] | None,
    kinds: Sequence[Pattern],
    batches: Batches | None,
) -> dict[str, nn.Parameter]:
    """The weights to scan."""
    if layers is None and any(isinstance(kind, Channel) for kind in kinds):
        layers = losing_channels(model, weights(model), batches)
    return weights(model, layers)


def _measured(
    state: Scan,
    wanted: Sequence[Task],
    job: Job,
    path: Path | str | None,
    workers: int | None,
) -> Scan:
    """With the points that are still missing, each in the file as soon as it is there."""
    if path is not None:
        state.write(path)
    known = {_key(point) for point in state.points}
    missing = [task for task in wanted if _key(task) not in known]
    for point in _bar(results(job, missing, workers), len(wanted), len(wanted) - len(missing)):
        state = _ordered(replace(state, points=[*state.points, point]), wanted)
        if path is not None:
            state.write(path)
    return state


def _pairs(kinds: Sequence[Pattern], densities: Sequence[float]) -> list[tuple[str, float]]:
    """Patterns and densities to try, dense first."""
    pairs: dict[tuple[str, float], None] = {}
    for kind in kinds:
        if kind.fixed_density is not None:
            pairs[str(kind), kind.fixed_density] = None
            continue
        for density in densities:
            kept_count(1, density, "the scan")
            pairs[str(kind), kind.towards(density)[1]] = None
    return list(pairs)


def _key(one: Task | Point) -> tuple[str, str, float]:
    return one.layer, one.pattern, one.density


def _resumed(old: Scan, new: Scan, path: Path | str) -> Scan:
    """What is in the file, and the layers that are new; refuses a file of another scan."""
    for what, before, now in (
        ("network, or its calibration data", old.network, new.network),
        ("criterion", old.criterion, new.criterion),
        ("pattern", ", ".join(old.patterns), ", ".join(new.patterns)),
        ("measure of the whole network", old.dense, new.dense),
    ):
        if before != now:
            raise UserError(
                f"{path} is a scan with another {what}: {before} there, {now} now; "
                "name another file, or remove it"
            )
    return replace(old, sizes={**old.sizes, **new.sizes})


def _with_dense(state: Scan, wanted: Sequence[Task]) -> Scan:
    """Nothing pruned is the same network for all layers: it need not be measured again."""
    known = {_key(point) for point in state.points}
    dense = [
        Point(*_key(task), kept=state.sizes[task.layer], accuracy=state.dense)
        for task in wanted
        if task.density == 1 and _key(task) not in known
    ]
    return _ordered(replace(state, points=[*state.points, *dense]), wanted)


def _ordered(state: Scan, wanted: Sequence[Task]) -> Scan:
    """Points in the order that they were asked for, whatever order they came in."""
    place: Mapping[tuple, int] = {_key(task): at for at, task in enumerate(wanted)}
    points = sorted(state.points, key=lambda point: place.get(_key(point), len(wanted)))
    return replace(state, points=points)


def _bar(points: Iterable[Point], total: int, done: int) -> tqdm:
    # Without a terminal every update stays on the screen: a few suffice.
    interval = 0.2 if sys.stderr.isatty() else 10
    return tqdm(
        points,
        "scan",
        total,
        initial=done,
        unit="point",
        leave=False,
        delay=1.5,
        mininterval=interval,
    )
