"""What the benches are to run, handed from the test's process to the simulator's as files."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spec import image
from spec.eie.config import EieConfig
from spec.eie.program import matrix_of

JOBS = "SKIPSTONE_BENCH_JOBS"
"""Environment variable with the path of the list of jobs."""


Word = tuple[int, int, int, int]
"""Memory, PE, address, data."""


@dataclass(frozen=True, eq=False)
class Job:
    """A program of either engine, and vectors for it.

    Attributes
    ----------
    wrong : tuple of Word
        Mistakes: words to write over an EIE program's.
    error : int
        Code that a run then ends with.
    """

    name: str
    program: Any
    batch: np.ndarray
    wrong: tuple[Word, ...] = ()
    error: int = 0


def write_jobs(jobs: Sequence[Job], folder: Path) -> dict[str, str]:
    """Write jobs into a folder; gives the environment in which a bench finds them."""
    documents = []
    for number, job in enumerate(jobs):
        path = image.write(job.program, folder / f"{number}.skip")
        documents.append(
            {
                "name": job.name,
                "image": str(path.absolute()),
                "batch": job.batch.tolist(),
                "wrong": job.wrong,
                "error": job.error,
            }
        )
    file = folder.absolute() / "jobs.json"
    file.write_text(json.dumps(documents))
    return {JOBS: str(file)}


def read_jobs() -> list[Job]:
    """The jobs that this simulation was started for."""
    return [
        Job(
            document["name"],
            image.read(document["image"]),
            np.array(document["batch"], np.int64),
            tuple(map(tuple, document["wrong"])),
            document["error"],
        )
        for document in json.loads(Path(os.environ[JOBS]).read_text())
    ]


def groups(job: Job) -> list[np.ndarray]:
    """The vectors in groups of one per lane, zeros in the lanes that are left; (lanes, inputs)."""
    lanes = job.program.config.lanes
    vectors = np.zeros((-(-len(job.batch) // lanes) * lanes, job.batch.shape[1]), np.int64)
    vectors[: len(job.batch)] = job.batch
    return list(vectors.reshape(-1, lanes, job.batch.shape[1]))


@dataclass(frozen=True)
class Heard:
    """A column that is broadcast to a PE: its number in the cluster, its activations."""

    column: int
    values: np.ndarray

    def packed(self, config: EieConfig) -> int:
        """The activations as a field of a payload, the first lane's lowest."""
        mask = (1 << config.act_bits) - 1
        return sum(
            (int(value) & mask) << config.act_bits * lane for lane, value in enumerate(self.values)
        )


def heard(job: Job, acts: np.ndarray, pe: int) -> list[Heard]:
    """What is broadcast in a PE's cluster in the first pass; ``acts`` is (lanes, inputs)."""
    segment = job.program.segments[0]
    csc = matrix_of(job.program.config, segment, segment.passes[0])
    columns = csc.global_columns(np.full(csc.local_columns, pe), np.arange(csc.local_columns))
    return [
        Heard(local, acts[:, column])
        for local, column in enumerate(columns.tolist())
        if column < acts.shape[1] and acts[:, column].any()
    ]
