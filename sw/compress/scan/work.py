"""Points of a scan, measured in this process or in several."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

import torch
from torch import nn

from spec.errors import Failure
from sw.compress.criteria.base import Batches, Criterion, Loss
from sw.compress.lifecycle import prepare
from sw.compress.scan.measure import Measure, measured
from sw.compress.scan.points import Point

PAYS_SECONDS = 5.0
"""What is left must take one process that long before others are started."""


@dataclass(frozen=True)
class Task:
    """A point to measure."""

    layer: str
    pattern: str
    density: float


@dataclass(frozen=True, eq=False)
class Job:
    """What all points have in common."""

    model: nn.Module
    measure: Measure
    criterion: str | Criterion
    batches: Batches | None
    loss: Loss

    def point(self, task: Task) -> Point:
        """Prune one layer of a copy, and measure it."""
        finished = prepare(
            self.model,
            {task.layer: task.pattern},
            density={task.layer: task.density},
            criterion=self.criterion,
            batches=self.batches,
            loss=self.loss,
        ).finalize()
        accuracy = measured(self.measure, finished.model)
        return Point(task.layer, task.pattern, task.density, finished.masks.kept, accuracy)


def results(job: Job, tasks: Sequence[Task], workers: int | None) -> Iterator[Point]:
    """The points, each as soon as it is there.

    Parameters
    ----------
    workers : int or None
        Processes; None is one until it shows that more pay.
    """
    began, cores = time.monotonic(), os.cpu_count() or 1
    for done, task in enumerate(tasks):
        left = len(tasks) - done
        spent = (time.monotonic() - began) / max(done, 1)
        chosen = (cores if spent * left > PAYS_SECONDS else 1) if workers is None else workers
        if min(chosen, left) > 1 and "fork" in multiprocessing.get_all_start_methods():
            yield from _in_parallel(job, tasks[done:], min(chosen, left))
            return
        yield job.point(task)


_job: Job
"""Of a worker process."""


def _in_parallel(job: Job, tasks: Sequence[Task], workers: int) -> Iterator[Point]:
    """Workers are forked: they have the network, the data and the user's function already."""
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(workers, context, _start, (job,))
    try:
        waiting = [pool.submit(_point, task) for task in tasks]
        for future in as_completed(waiting):
            yield future.result()
    except BrokenProcessPool:
        raise Failure("a worker process of the scan ended; perhaps memory was short") from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start(job: Job) -> None:
    """Begin in a worker: one thread, as libraries' threads do not survive a fork; and an interrupt
    simply ends it, unless the whole scan ignores it (in the background of a shell)."""
    global _job
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    torch.set_num_threads(1)
    _job = job


def _point(task: Task) -> Point:
    return _job.point(task)
