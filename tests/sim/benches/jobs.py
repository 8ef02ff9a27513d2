"""What the benches are to run, handed from the test's process to the simulator's as files."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spec import image
from spec.eie.iomap import Error
from spec.eie.program import Program

JOBS = "SKIPSTONE_BENCH_JOBS"
"""Environment variable with the path of the list of jobs."""


Word = tuple[int, int, int, int]
"""Memory, PE, address, data."""


@dataclass(frozen=True, eq=False)
class Job:
    """A program and vectors for it.

    Attributes
    ----------
    wrong : tuple of Word
        Mistakes: words to write over the program's.
    error : Error
        What a run then ends with.
    """

    name: str
    program: Program
    batch: np.ndarray
    wrong: tuple[Word, ...] = ()
    error: Error = Error.NONE


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
                "error": int(job.error),
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
            next(error for error in Error if error == document["error"]),
        )
        for document in json.loads(Path(os.environ[JOBS]).read_text())
    ]
