"""Mistakes set an error code and never hang, and the run that follows is right."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from spec.eie.config import EieConfig, bits_for
from spec.eie.iomap import Error, Memory, descriptor_word_bits
from spec.eie.program import Segment
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
    config, right, acts = machine.program.config, machine.segment, machine.acts
    pe, column = int(rng.integers(config.pes)), int(rng.integers(1, machine.program.inputs))
    behind, backwards = right.pointers.copy(), right.pointers.copy()
    behind[pe, column] = config.entries + 1
    backwards[pe, column - 1] = backwards[pe, column] + 1
    lines = right.lines.copy()
    longest = config.longest_run << config.code_bits
    places = range(0, config.entries_per_line * config.entry_bits, config.entry_bits)
    lines[pe] |= np.uint64(sum(longest << place for place in places))
    everything = np.zeros_like(behind)
    everything[:, 0] = config.entries + 1
    too_many = np.append(acts, -1)
    return [
        Mistake("non-zero behind the last column", right, too_many, Error.COLUMN),
        Mistake("entry behind the first pass's rows", with_rows(right, 0), acts, Error.ROW),
        Mistake("entry behind the second pass's rows", with_rows(right, 1), acts, Error.ROW),
        Mistake("longest runs only", replace(right, lines=lines), acts, Error.ROW),
        Mistake("column behind the memory", replace(right, pointers=behind), acts, Error.POINTER),
        Mistake("column backwards", replace(right, pointers=backwards), acts, Error.POINTER),
        Mistake("first of many", replace(right, pointers=everything), too_many, Error.POINTER),
    ]


def with_rows(segment: Segment, number: int) -> Segment:
    """The segment with a row less in one pass."""
    passes = list(segment.passes)
    descriptor = passes[number].descriptor
    descriptor = replace(descriptor, rows=descriptor.rows - 1)
    passes[number] = replace(passes[number], descriptor=descriptor)
    return replace(segment, passes=tuple(passes))


def change(machine: Machine, loaded: Segment, segment: Segment) -> None:
    """Write the memories in which a segment is not the one that is loaded."""
    for memory in (Memory.POINTERS, Memory.LINES):
        words = getattr(segment, memory.name.lower())
        if words is not getattr(loaded, memory.name.lower()):
            machine.write(memory, words)
    config = machine.program.config
    for number, step in enumerate(segment.passes):
        for index, word in enumerate(step.descriptor.pack(config)):
            address = number << descriptor_word_bits(config) | index
            machine.port.write(Memory.DESCRIPTORS, 0, address, word)


@pytest.mark.parametrize("name", ["ahead", "published"])
def test_mistakes(name: str, rng: np.random.Generator) -> None:
    """Each has its code; what is right then runs, and counts, without a reset."""
    machine = random_machine(rng, CONFIGS[name], full=True)
    machine.assert_right()
    for mistake in mistakes(rng, machine):
        change(machine, machine.segment, mistake.segment)
        machine.feed(mistake.acts)
        assert machine.run()[1] == mistake.code, mistake.name
        change(machine, mistake.segment, machine.segment)
        machine.assert_right()


def test_start_before_an_image(rng: np.random.Generator) -> None:
    """NO_IMAGE, and not busy; also when all but the number of passes has been written."""
    machine = random_machine(rng, CONFIGS["ahead"], full=True)
    assert machine.run() == (0, Error.NO_IMAGE)
    assert machine.run() == (0, Error.NO_IMAGE)
    machine.assert_right()
    machine.arm(0)
    assert machine.run() == (0, Error.NO_IMAGE)
    machine.arm()
    machine.assert_right()

    # The first error stays until a start is accepted: this one is refused as well.
    machine.feed(np.append(machine.acts, -1))
    assert machine.run()[1] == Error.COLUMN
    machine.arm(0)
    assert machine.run() == (0, Error.COLUMN)


def test_second_start(rng: np.random.Generator) -> None:
    """BUSY, in any cycle; outputs and cycles are those of an undisturbed run."""
    machine = random_machine(rng, CONFIGS["ahead"])
    machine.assert_right()
    right = machine.result().tolist()
    for moment in (1, int(rng.integers(2, machine.cycles - 1)), machine.cycles - 1):
        machine.feed(machine.acts)
        machine.run_until(moment)
        # The port pulses start, which takes a cycle, and waits for the end.
        rest, code = machine.run()
        assert (moment + 1 + rest, code) == (machine.cycles, Error.BUSY)
        assert machine.result().tolist() == right
    machine.assert_right()


def assert_survives_rubbish(config: EieConfig, rng: np.random.Generator) -> None:
    """Random pointers, lines, activations, or all of them: a run ends, and a right one follows."""
    machine = random_machine(rng, config)
    machine.assert_right()
    segment = machine.segment
    rubbish = {
        Memory.POINTERS: rng.integers(0, config.entries // 4, segment.pointers.shape),
        Memory.LINES: rng.integers(0, 1 << config.line_bits, segment.lines.shape, np.uint64),
        Memory.ACTIVATIONS: rng.integers(0, 9, (config.pes, config.act_rows)),
    }
    chosen = list(rubbish) if rng.random() < 0.3 else [list(rubbish)[rng.integers(3)]]
    machine.feed(machine.acts)
    for memory in chosen:
        machine.write(memory, rubbish[memory])
    assert machine.run()[1] in (Error.NONE, Error.COLUMN, Error.ROW, Error.POINTER)
    machine.write(Memory.POINTERS, segment.pointers)
    machine.write(Memory.LINES, segment.lines)
    machine.assert_right()


def test_rubbish(rng: np.random.Generator) -> None:
    """See :func:`assert_survives_rubbish`."""
    assert_survives_rubbish(CONFIGS["ahead"], rng)


def test_more_passes_than_the_table_holds(rng: np.random.Generator) -> None:
    """They arm nothing, where they once made a run that never ended."""
    machine = random_machine(rng, CONFIGS["ahead"])
    for passes in (machine.program.config.layers + 1, 1 << 63):
        machine.port.write(Memory.CONTROL, 0, 0, passes)
        assert machine.run() == (0, Error.NO_IMAGE)
    machine.port.write(Memory.CONTROL, 0, 0, len(machine.segment.passes))
    machine.assert_right()


def test_more_rows_than_there_are(rng: np.random.Generator) -> None:
    """A descriptor's rows are not checked, but whatever they are the run ends."""
    machine = random_machine(rng, CONFIGS["ahead"])
    machine.assert_right()
    config = machine.program.config
    every = (1 << bits_for(config.rows)) - 1
    descriptor = replace(machine.segment.passes[0].descriptor, rows=every)
    for index, word in enumerate(descriptor.pack(config)):
        machine.port.write(Memory.DESCRIPTORS, 0, index, word)
    assert machine.run()[1] == Error.NONE


def test_column_behind_the_pointer_memory(rng: np.random.Generator) -> None:
    """COLUMN, where the address once wrapped to the first pointers."""
    machine = random_machine(rng, CONFIGS["ahead"])
    machine.assert_right()
    config, step = machine.program.config, machine.segment.passes[0]
    machine.feed(np.ones_like(machine.acts))
    last = config.columns - step.inputs
    for base, code in ((last, Error.COLUMN), (config.columns - 1, Error.COLUMN)):
        descriptor = replace(step.descriptor, pointer_base=base)
        for index, word in enumerate(descriptor.pack(config)):
            machine.port.write(Memory.DESCRIPTORS, 0, index, word)
        assert machine.run()[1] == code
