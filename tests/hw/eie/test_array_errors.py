"""Mistakes set an error code and never hang, and the run that follows is right."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from spec.config import bits_for
from spec.eie.config import EieConfig
from spec.eie.descriptor import Descriptor, cluster_columns, descriptor_fields
from spec.eie.iomap import Error, Memory, descriptor_word_bits
from spec.eie.lines import pack_lines
from spec.eie.program import Segment, run_bits
from sw.host.eie.words import pack, segment_writes
from tests.hw.eie.machine import CONFIGS, Machine, random_machine

pytestmark = pytest.mark.unit


class Mistake(NamedTuple):
    """What is wrong with a program or its input, and what the array says to it."""

    name: str
    segment: Segment
    acts: np.ndarray
    code: Error


def mistakes(rng: np.random.Generator, machine: Machine) -> list[Mistake]:
    """One of every kind, somewhere."""
    config, right, acts = machine.config, machine.segment, machine.acts
    first = right.passes[0].descriptor
    pe = int(rng.integers(config.pes))
    place = np.arange(first.columns) % config.pes // config.cluster_pes(first.split)
    own = np.count_nonzero(place == pe // config.cluster_pes(first.split))
    column = int(rng.integers(1, own + 1))
    behind, backwards = right.pointers.copy(), right.pointers.copy()
    behind[pe, column] = config.pointer_limit + 1
    backwards[pe, column - 1] = backwards[pe, column] + 1
    all_backwards = right.pointers.copy()
    all_backwards[:, 0] = config.pointer_limit + 1
    too_many = np.append(acts, np.full((len(acts), 1), -1), axis=1)
    few = [with_rows(config, right, number) for number in (0, 1)]
    none = with_rows(config, right, 0, rows=0)
    return [
        Mistake("non-zero behind the last column", right, too_many, Error.COLUMN),
        Mistake("entry behind the first pass's rows", few[0], acts, Error.ROW),
        Mistake("entry behind the second pass's rows", few[1], acts, Error.ROW),
        Mistake("longest runs only", longest_runs(config, right, pe), acts, Error.ROW),
        Mistake("column behind the memory", replace(right, pointers=behind), acts, Error.POINTER),
        Mistake("column backwards", replace(right, pointers=backwards), acts, Error.POINTER),
        Mistake("first of many", replace(none, pointers=all_backwards), acts, Error.POINTER),
    ]


def longest_runs(config: EieConfig, segment: Segment, pe: int) -> Segment:
    """Every entry of a PE gets the longest run; that is as wide in all passes."""
    width = run_bits(config, segment.passes[0].descriptor)
    count = config.entries_per_line(width)
    runs = np.full(count, (1 << width) - 1)
    widths = {"code_bits": config.code_bits, "run_bits": width}
    lines = segment.lines.copy()
    lines[pe] |= pack_lines(0 * runs, runs, **widths, per_line=count)
    return replace(segment, lines=lines)


def with_rows(config: EieConfig, segment: Segment, number: int, rows: int | None = None) -> Segment:
    """The segment with other rows in one pass: by default one too few for its last output."""
    (run,), passes = segment.runs, list(segment.passes)
    step = passes[number]
    least = -(-step.outputs // config.cluster_pes(step.descriptor.split)) - 1
    descriptor = replace(step.descriptor, rows=least if rows is None else rows)
    passes[number] = replace(step, descriptor=descriptor)
    return replace(segment, runs=(replace(run, passes=tuple(passes)),))


def change(machine: Machine, loaded: Segment, segment: Segment) -> None:
    """Write the memories in which a segment is not the one that is loaded."""
    for memory in (Memory.POINTERS, Memory.LINES):
        words = getattr(segment, memory.name.lower())
        if words is not getattr(loaded, memory.name.lower()):
            machine.write(memory, words)
    for number, step in enumerate(segment.passes):
        write_descriptor(machine, number, step.descriptor)


def write_descriptor(machine: Machine, number: int, descriptor: Descriptor) -> None:
    words = np.array(descriptor.pack(machine.config), np.uint64)
    machine.write(Memory.DESCRIPTORS, words, number << descriptor_word_bits(machine.config))


STATIONS = replace(CONFIGS["registers"], pes=6, clusters=1)
"""Two in its only sector."""


@pytest.mark.parametrize(
    "name", ["ahead", "published", "pipeline", "registers", "FPGA", "stations", "clusters", "lanes"]
)
def test_mistakes(name: str, rng: np.random.Generator) -> None:
    """Each has its code; what is right then runs, and counts, without a reset."""
    config = STATIONS if name == "stations" else CONFIGS[name]
    widen = int(rng.integers(config.run_bits_most - config.run_bits + 1))
    machine = random_machine(rng, config, full=True, widen=widen)
    machine.assert_right()
    for mistake in mistakes(rng, machine):
        change(machine, machine.segment, mistake.segment)
        machine.feed(mistake.acts)
        assert machine.run()[1] == mistake.code, mistake.name
        change(machine, mistake.segment, machine.segment)
        machine.assert_right()


def test_start_before_an_image(rng: np.random.Generator) -> None:
    """NO_IMAGE, and not busy; also when all but the passes of the start has been written."""
    machine = random_machine(rng, CONFIGS["ahead"], full=True)
    assert machine.run() == (0, Error.NO_IMAGE)
    assert machine.run() == (0, Error.NO_IMAGE)
    machine.assert_right()
    machine.arm(0, 0)
    assert machine.run() == (0, Error.NO_IMAGE)
    machine.arm()
    machine.assert_right()

    # The first error stays until a start is accepted: this one is refused as well.
    machine.feed(np.append(machine.acts, -np.ones((1, 1), np.int64), axis=1))
    machine.arm()
    assert machine.run()[1] == Error.COLUMN
    machine.arm(0, 0)
    assert machine.run() == (0, Error.COLUMN)


def test_second_start(rng: np.random.Generator) -> None:
    """BUSY, in any cycle; outputs and cycles are those of an undisturbed run."""
    machine = random_machine(rng, CONFIGS["ahead"])
    machine.assert_right()
    right = machine.result()
    for moment in (1, int(rng.integers(2, machine.cycles - 1)), machine.cycles - 1):
        machine.feed(machine.acts)
        machine.run_until(moment)
        # The port pulses start, which takes a cycle, and waits for the end.
        rest, code = machine.run()
        assert (moment + 1 + rest, code) == (machine.cycles, Error.BUSY)
        assert machine.result() == right
    machine.assert_right()


def assert_survives_rubbish(config: EieConfig, rng: np.random.Generator) -> None:
    """Random pointers, lines, activations, or all of them: a run ends, and a right one follows."""
    machine = random_machine(rng, config)
    machine.assert_right()
    segment = machine.segment
    lanes = np.arange(config.lanes) * 2 << config.act_row_bits
    rubbish = {
        Memory.POINTERS: rng.integers(0, config.pointer_limit // 4, segment.pointers.shape),
        Memory.LINES: rng.integers(0, 1 << config.line_bits, segment.lines.shape, np.uint64),
        Memory.ACTIVATIONS: rng.integers(0, 9, (config.pes, config.act_rows)),
    }
    chosen = list(rubbish) if rng.random() < 0.3 else [list(rubbish)[rng.integers(3)]]
    machine.feed(machine.acts)
    for memory in chosen:
        for first in lanes.tolist() if memory == Memory.ACTIVATIONS else [0]:
            machine.write(memory, rubbish[memory], first)
    assert machine.run()[1] in (Error.NONE, Error.COLUMN, Error.ROW, Error.POINTER)
    machine.write(Memory.POINTERS, segment.pointers)
    machine.write(Memory.LINES, segment.lines)
    machine.assert_right()


@pytest.mark.parametrize("name", ["ahead", "clusters"])
def test_rubbish(name: str, rng: np.random.Generator) -> None:
    """See :func:`assert_survives_rubbish`."""
    assert_survives_rubbish(CONFIGS[name], rng)


@pytest.mark.parametrize("name", CONFIGS)
def test_rubbish_descriptors(name: str, rng: np.random.Generator) -> None:
    """Any bits at all in a pass: its run ends. Sums may stay behind, so that a reset follows."""
    machine = random_machine(rng, CONFIGS[name])
    machine.assert_right()
    config, right = machine.config, machine.segment.passes[0].descriptor
    for _ in range(8):
        fields = descriptor_fields(config).items()
        drawn = {name: int(rng.integers(1 << bits)) for name, bits in fields}
        machine.feed(machine.acts)
        write_descriptor(machine, 0, Descriptor(**drawn))
        assert machine.run()[1] in (Error.NONE, Error.COLUMN, Error.ROW, Error.POINTER)
        machine.arm()
    write_descriptor(machine, 0, right)
    machine.reset()
    machine.assert_right()


def test_passes_that_the_table_does_not_hold(rng: np.random.Generator) -> None:
    """They arm nothing, where they once made a run that never ended."""
    machine = random_machine(rng, CONFIGS["ahead"])
    layers = machine.config.layers
    for first, count in ((0, layers + 1), (layers, 1), (1, layers), (65535, 65535)):
        machine.arm(first, count)
        assert machine.run() == (0, Error.NO_IMAGE)
    machine.assert_right()


def test_more_rows_than_there_are(rng: np.random.Generator) -> None:
    """A descriptor's rows are not checked, but whatever they are the run ends."""
    machine = random_machine(rng, CONFIGS["ahead"])
    machine.assert_right()
    every = (1 << bits_for(machine.config.rows)) - 1
    write_descriptor(machine, 0, replace(machine.segment.passes[0].descriptor, rows=every))
    assert machine.run()[1] == Error.NONE


def test_column_behind_the_pointer_memory(rng: np.random.Generator) -> None:
    """COLUMN, where the address once wrapped to the first pointers."""
    machine = random_machine(rng, CONFIGS["ahead"])
    machine.assert_right()
    config, right = machine.config, machine.segment.passes[0].descriptor
    machine.feed(np.ones_like(machine.acts))
    last = config.columns - cluster_columns(config, right.columns, right.split)
    for base, code in ((last, Error.COLUMN), (config.columns - 1, Error.COLUMN)):
        write_descriptor(machine, 0, replace(right, pointer_base=base))
        assert machine.run()[1] == code


def test_a_write_that_must_wait_does_not_hang(rng: np.random.Generator) -> None:
    """Sent during a run it is taken behind it, on an array without a second buffer: any write."""
    machine = random_machine(rng, CONFIGS["published"])
    machine.assert_right()
    right = machine.result()
    machine.feed(machine.acts)
    writes = segment_writes(machine.config, machine.segment)
    words = pack(machine.config, writes)
    most = machine.cycles + 1
    assert machine.port.run(most, words) == (machine.cycles, Error.NONE)
    assert machine.result() == right
