"""The N:M array on its load stream against the golden model: bits, cycles, counters."""

from dataclasses import replace

import numpy as np
import pytest

from spec.nm.config import NmConfig, preset
from spec.nm.iomap import Error
from tests.hw.nm.machine import Job, run_all
from tests.hw.streams import paces, ragged
from tests.spec.nm.cases import config_with_small_banks, random_case, random_config

pytestmark = pytest.mark.flow


def jobs_of(rng: np.random.Generator, config: NmConfig, count: int, **options) -> list[Job]:
    """Random layers over random tokens."""
    cases = [random_case(rng, config, **options) for _ in range(count)]
    return [Job(case.program, 0, case.acts) for case in cases]


def strips_of(rng: np.random.Generator, config: NmConfig) -> Job:
    """A dense layer of at least four strips and three tiles, in one block."""
    while True:
        (job,) = jobs_of(rng, config, 1, mode=config.modes[0], gather=False, most=24)
        if job.descriptor.blocks == 1 and job.descriptor.strips >= 4 and len(job.outputs) > 4:
            return job


def assert_right(config: NmConfig, jobs: list[Job]) -> None:
    """All jobs on one array, one after the other, both streams steady."""
    for job, ran in zip(jobs, run_all(config, [job.order() for job in jobs]), strict=True):
        job.assert_right(ran)


@pytest.mark.parametrize("number", range(12))
def test_random_configurations(rng, number):
    """Any shape, mode and width; also layers of a single step."""
    config = random_config(rng)
    assert_right(config, jobs_of(rng, config, 2, most=20) + jobs_of(rng, config, 2, most=3))


@pytest.mark.parametrize("gather", [False, True])
@pytest.mark.parametrize(("n", "groups"), [(4, 1), (2, 2), (1, 4)])
def test_every_mode_on_one_array(rng, n, groups, gather):
    """Modes change from layer to layer."""
    config = preset("tiny", m=8, n=n, groups=groups, act_lines=8, weight_steps=64)
    jobs = [jobs_of(rng, config, 1, mode=mode, gather=gather)[0] for mode in config.modes]
    assert_right(config, jobs)


@pytest.mark.parametrize("gather", [False, True])
@pytest.mark.parametrize("number", range(3))
def test_strips_of_several_parts(rng, number, gather):
    """Banks that hold a line or little more; a layer of few inputs between two of many."""
    config = config_with_small_banks(rng, load_bits=64, rows=4, columns=2)
    jobs = jobs_of(rng, config, 2, gather=gather, most=40)
    few = jobs_of(rng, config, 1, gather=False, most=4)
    assert_right(config, [jobs[0], *few, jobs[1]])


@pytest.mark.parametrize("load_bits", [64, 128, 256, 512])
def test_words_of_every_width(rng, load_bits):
    config = preset("tiny", load_bits=load_bits, weight_steps=64)
    assert_right(config, jobs_of(rng, config, 4))


@pytest.mark.parametrize("rows", [1, 2, 8])
@pytest.mark.parametrize("lines", [2, 3, 4])
def test_many_blocks(rng, rows, lines):
    """Blocks of one or a few tiles, also with a single strip."""
    config = preset("tiny", rows=rows, act_lines=lines)
    assert_right(config, jobs_of(rng, config, 4, most=2 * config.line_inputs))


def test_dense_only(rng):
    config = preset("tiny", n=1, m=1, groups=2, gather_lines=0, weight_steps=64)
    assert_right(config, jobs_of(rng, config, 4))


def test_ragged_streams_change_no_bit(rng):
    """Neither do they change how many words and steps there are."""
    config = preset("tiny", act_lines=8, weight_steps=64)
    pairs = [*paces(rng), (ragged(rng), ragged(rng, 0.05))]
    jobs = jobs_of(rng, config, len(pairs), most=16)
    orders = [
        job.order(offered=offered, taken=taken)
        for job, (offered, taken) in zip(jobs, pairs, strict=True)
    ]
    for job, ran in zip(jobs, run_all(config, orders), strict=True):
        job.assert_right(ran, paced=True)


def test_impossible_descriptors(rng):
    """Each is refused after a look, and the next run is right."""
    config = preset("tiny", gather_lines=0, n=1)  # three modes: the number 3 names none
    job = jobs_of(rng, config, 1)[0]
    changes = [{"gather": True}, {"mode": len(config.modes)}]
    changes += [{name: 0} for name in ("strips", "input_lines", "tiles", "block_tiles")]
    orders = []
    for change in changes:
        orders += [
            replace(job.order(), descriptor=replace(job.descriptor, **change)),
            job.order(),
        ]
    rans = run_all(config, orders)
    for failed, right in zip(rans[::2], rans[1::2], strict=True):
        assert (failed.error, failed.cycles, failed.taken) == (Error.DESCRIPTOR, 1, 0)
        job.assert_right(right)


def test_a_start_while_busy_disturbs_nothing(rng):
    config = preset("tiny")
    job = jobs_of(rng, config, 1)[0]
    last = job.counts.of("cycles") - 1
    for ran in run_all(config, [job.order(starts_at=at) for at in ((0,), (5, 6, 7), (last,))]):
        assert ran.error == Error.BUSY
        job.assert_right(replace(ran, error=Error.NONE))
    job.assert_right(run_all(config, [job.order(starts_at=(0,)), job.order()])[1])


@pytest.mark.parametrize("steps", [0, 17, 0xFFFF])
def test_strips_that_fit_no_bank(rng, steps):
    """Any strip of a run, with results on their way; a start while busy is outdone. The next run
    is right, whatever the failed one has left behind."""
    config = preset("tiny")
    job = strips_of(rng, config)
    words = len(job.words)
    headers = [at for at in range(words) if _is_header(job, at)]
    assert len(headers) == job.descriptor.strips
    orders = []
    for at in headers:
        broken = list(job.words)
        broken[at] = broken[at] >> 16 << 16 | steps
        orders += [replace(job.order(starts_at=(1,)), words=broken), job.order()]
    rans = run_all(config, orders)
    for at, failed, right in zip(headers, rans[::2], rans[1::2], strict=True):
        assert (failed.error, failed.taken) == (Error.STRIP, at + 1)
        assert failed.counts["loads"] == at + 1
        job.assert_right(right)


def test_a_start_right_behind_an_error(rng):
    """Steps and rows of the failed run are on their way everywhere: none gets into the next."""
    config = preset("tiny", weight_steps=64)
    job = strips_of(rng, config)
    headers = [at for at in range(len(job.words)) if _is_header(job, at)]
    orders = []
    for at in headers:
        broken = [word if other != at else 0 for other, word in enumerate(job.words)]
        orders += [replace(job.order(hurried=True), words=broken), job.order()]
    rans = run_all(config, orders)
    for failed, right in zip(rans[::2], rans[1::2], strict=True):
        assert failed.error == Error.STRIP
        job.assert_right(right)


def _is_header(job: Job, at: int) -> bool:
    """Whether a word of the load stream of a job of one block is the header of a strip."""
    config = job.program.config
    lines = job.descriptor.tiles * job.descriptor.input_lines * config.line_bits // config.load_bits
    return any(
        at == span.start + (number and lines) for number, span in enumerate(job.program.spans[0])
    )


def test_reset_in_mid_run(rng):
    """Wherever it comes: the next run is right, also of another mode."""
    config = preset("tiny", act_lines=6)
    one, other = jobs_of(rng, config, 2, most=16)
    stops = np.unique(rng.integers(1, one.counts.of("cycles"), 8)).tolist()
    orders = [order for stop in stops for order in (one.order(stop=stop), other.order())]
    for ran in run_all(config, orders)[1::2]:
        other.assert_right(ran)
