"""Entries in lines, and pointers to them."""

import numpy as np
import pytest

from spec.eie.config import preset
from spec.eie.lines import pack_lines, pack_pointers, unpack_lines, unpack_pointers
from spec.errors import UserError
from tests.programs import random_config

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("per_line", [1, 3, 6, 8])
@pytest.mark.parametrize("count", [0, 1, 5, 6, 7, 8, 9, 24])
def test_lines_hold_entries_lowest_first(rng, per_line, count):
    widths = {"code_bits": 5, "run_bits": 3, "per_line": per_line}
    code, run = (rng.integers(0, 1 << bits, count).astype(np.uint8) for bits in (5, 3))
    lines = pack_lines(code, run, **widths)
    assert len(lines) == -(-count // per_line)
    for index in range(count):
        line, slot = divmod(index, per_line)
        assert int(lines[line]) >> (8 * slot) & 255 == int(code[index]) | int(run[index]) << 5
    assert not any(int(line) >> (8 * per_line) for line in lines)
    found = unpack_lines(lines, count, **widths)
    assert np.array_equal(found, (code, run))


def test_wider_entries_leave_the_end_of_a_line_zero():
    """Ten bits each, six in a line of 64: its last four bits stay zero."""
    code, run = np.full(12, 15, np.uint8), np.full(12, 63, np.uint8)
    lines = pack_lines(code, run, code_bits=4, run_bits=6, per_line=6)
    assert lines.tolist() == [(1 << 60) - 1] * 2


def test_pointers_are_a_line_and_a_slot():
    config = preset("default")
    assert config.slot_bits == 3
    assert pack_pointers(config, np.arange(5, 9), 7).tolist() == [5, 6, 8, 9]
    assert pack_pointers(config, np.arange(5, 9), 8).tolist() == [5, 6, 7, 8]
    assert pack_pointers(config, np.array([6 * config.lines]), 6) == config.pointer_limit


def test_unpack_undoes_pack(rng):
    for _ in range(50):
        config = random_config(rng)
        for run_bits in range(config.run_bits, config.run_bits_most + 1):
            per_line = config.entries_per_line(run_bits)
            entries = rng.integers(0, per_line * config.lines, (3, 9), endpoint=True)
            pointers = pack_pointers(config, entries, per_line)
            assert pointers.max() <= config.pointer_limit < 1 << config.pointer_bits
            assert (pointers >> config.slot_bits == entries // per_line).all()
            assert np.array_equal(unpack_pointers(config, pointers, per_line), entries)


def test_a_slot_that_no_line_has_is_refused():
    config = preset("default")
    assert unpack_pointers(config, np.array([6]), 7) == 6
    with pytest.raises(UserError, match="a pointer to slot 6, a line holds 6 entries"):
        unpack_pointers(config, np.array([[5, 8], [6, 9]]), 6)
