"""The layers that benches of the N:M engine run, and where in their load streams things stand."""

from typing import NamedTuple

from spec.nm.stream import LineLoad, schedule
from spec.nm.strips import sections, steps_of
from tests.hw.nm.machine import Job
from tests.sim.benches.jobs import read_jobs


def read_layers() -> list[Job]:
    """The layers of all jobs of this simulation; each takes what the one before gives."""
    jobs = []
    for one in read_jobs():
        acts = one.batch
        for number, layer in enumerate(one.program.layers):
            jobs.append(Job(one.program, number, layer.tokens_of(acts)))
            acts = layer.images_of(jobs[-1].outputs)
    return jobs


class Section(NamedTuple):
    """Words of a load stream that belong together: ``lines``, or a section of a strip, by its name
    in :func:`spec.nm.strips.sections`."""

    name: str
    first: int
    count: int


def sections_of(job: Job) -> list[Section]:
    """All sections of a layer's load stream that are not empty, in order."""
    program, layer = job.program, job.program.layers[job.number]
    config, strips = program.config, program.weights[job.number].strips
    found: list[Section] = []
    at = 0

    def add(name: str, count: int) -> None:
        nonlocal at
        if count:
            found.append(Section(name, at, count))
        at += count

    for load in schedule(job.descriptor):
        if isinstance(load, LineLoad):
            add("lines", load.count * (config.line_bits // config.load_bits))
            continue
        steps = steps_of(strips[program.spans[job.number][load.strip]])
        lengths = sections(config, layer.pattern, layer.gather, steps)
        for name, count in lengths.items():
            add(name, count * (layer.pattern.place_bits if name == "places" else 1))
    assert at == len(job.words)
    return found


def headers_of(job: Job) -> list[int]:
    """Where each strip begins."""
    return [one.first for one in sections_of(job) if one.name == "header"]
