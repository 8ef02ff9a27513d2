"""Configurations: presets, derived widths, digests, and a refusal for every field."""

from dataclasses import fields, replace

import pytest

from spec.config import IO_DATA_BITS
from spec.eie.config import PRESETS, EieConfig, preset
from spec.eie.counters import ARRAY_COUNTERS, PE_COUNTERS
from spec.eie.descriptor import descriptor_words
from spec.errors import UserError
from tests.programs import random_config

pytestmark = pytest.mark.unit

RANGES = {
    "pes": (1, 256),
    "act_bits": (2, 32),
    "weight_bits": (2, 32),
    "acc_bits": (4, 60),
    "multiplier_bits": (1, 32),
    "shift_bits": (1, 6),
    "lanes": (1, 8),
    "clusters": (1, 256),
    "code_bits": (1, 8),
    "run_bits": (1, 8),
    "run_bits_most": (1, 8),
    "line_bits": (2, 64),
    "rows": (1, 1 << 16),
    "act_rows": (1, 1 << 16),
    "lines": (1, 1 << 21),
    "columns": (2, 1 << 20),
    "biases": (1, 1 << 16),
    "layers": (1, 256),
    "codebooks": (1, 256),
    "queue_depth": (1, 256),
    "ahead_depth": (0, 64),
    "counter_bits": (8, 64),
}
FLAGS = (
    "share_pads",
    "double_buffer",
    "queue_spare",
    "scan_ahead",
    "scan_pipeline",
    "pe_registers",
)


def test_every_field_is_tested():
    assert {field.name for field in fields(EieConfig)} == {*RANGES, *FLAGS}


@pytest.mark.parametrize("name", RANGES)
def test_numbers_out_of_range_are_refused(name):
    low, high = RANGES[name]
    for value in (low - 1, high + 1, -1, 1.5, float(low), "8", None, True):
        with pytest.raises(
            UserError, match=rf"{name} = .*, must be an integer from {low} to {high}"
        ):
            replace(EieConfig(), **{name: value})


@pytest.mark.parametrize("name", FLAGS)
def test_flags_are_true_or_false(name):
    for value in (0, 1, "true", None):
        with pytest.raises(UserError, match=f"{name} = .*, must be true or false"):
            replace(EieConfig(), **{name: value})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"line_bits": 9}, "an entry of 4 [+] 6 bits does not fit in a line of 9 bits"),
        ({"run_bits_most": 3}, "run_bits_most = 3, must be at least run_bits = 4"),
        ({"lanes": 3}, "lanes = 3, must be one of 1, 2, 4, 8"),
        ({"lanes": 6}, "lanes = 6, must be one of 1, 2, 4, 8"),
        ({"clusters": 3, "pes": 6}, "clusters = 3, must be a power of two that divides pes = 6"),
        ({"clusters": 4, "pes": 6}, "clusters = 4, must be a power of two that divides pes = 6"),
        ({"clusters": 8, "pes": 4}, "clusters = 8, must be a power of two that divides pes = 4"),
        ({"acc_bits": 47}, r"47 [+] 16, must be at most 62"),
        ({"acc_bits": 31}, "acc_bits = 31, must hold one product of 16 [+] 16 bits"),
        ({"queue_depth": 1, "queue_spare": True}, "holds nothing"),
        ({"pe_registers": True}, "pe_registers = True needs scan_pipeline = True"),
    ],
)
def test_fields_that_do_not_go_together_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        replace(EieConfig(), **changes)


def test_the_published_machine():
    """Numbers of Han et al., ISCA 2016; see ``docs/eie.md``."""
    config = preset("isca16")
    assert config.pes == 64
    assert (config.code_bits, config.run_bits, config.run_bits_most) == (4, 4, 4)
    assert (config.entries_per_line(4), config.line_bits) == (8, 64)
    assert config.lines * config.line_bits == 128 * 1024 * 8
    assert (config.lanes, config.clusters) == (1, 1)
    assert (config.share_pads, config.double_buffer) == (False, False)
    assert config.columns == 16384
    assert (config.queue_depth, config.queue_places) == (8, 7)
    assert (config.ahead_depth, config.scan_ahead) == (0, False)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_build(name):
    assert preset(name) == PRESETS[name]
    assert preset(name, pes=3, clusters=1).pes == 3


def test_unknown_presets_and_fields_are_refused():
    known = "default, isca16, fpga64, fpga32, fpga6, fpga16, up5k, tiny"
    with pytest.raises(UserError, match=f"preset 'huge' does not exist; there are {known}"):
        preset("huge")
    with pytest.raises(UserError, match="no field 'pe'; there are .*pes"):
        preset("tiny", pe=4)
    with pytest.raises(UserError, match="pes = 0, must be an integer from 1 to 256"):
        preset("tiny", pes=0)


@pytest.mark.parametrize(
    ("line_bits", "code_bits", "run_bits", "per_line", "slot_bits"),
    [
        (64, 4, 4, 8, 3),
        (64, 4, 5, 7, 3),
        (64, 5, 4, 7, 3),
        (64, 8, 8, 4, 2),
        (8, 4, 4, 1, 1),
        (63, 4, 4, 7, 3),
        (64, 1, 1, 32, 5),
    ],
)
def test_lines_hold_as_many_entries_as_fit(line_bits, code_bits, run_bits, per_line, slot_bits):
    widths = {"code_bits": code_bits, "run_bits": run_bits, "run_bits_most": run_bits}
    config = EieConfig(line_bits=line_bits, **widths)
    assert config.entries_per_line(run_bits) == config.most_entries_per_line == per_line
    assert config.slot_bits == slot_bits
    assert config.pointer_limit == config.lines << slot_bits < 1 << config.pointer_bits


def test_slots_are_those_of_the_narrowest_runs():
    config = preset("default")
    assert [config.entries_per_line(bits) for bits in (4, 5, 6)] == [8, 7, 6]
    assert config.slot_bits == 3


def test_clusters_divide_the_array():
    config = preset("default", pes=24, clusters=8)
    assert (config.splits, config.sector_pes) == (3, 3)
    assert [config.cluster_pes(split) for split in range(4)] == [24, 12, 6, 3]


def test_widths_reach_everything(rng):
    for _ in range(100):
        config = random_config(
            rng,
            pes=int(rng.integers(1, 257)),
            lanes=int(rng.choice([1, 2, 4, 8])),
            act_rows=int(rng.integers(1, 5000)),
            lines=int(rng.integers(1, 5000)),
            columns=int(rng.integers(2, 5000)),
            layers=int(rng.integers(1, 257)),
        )
        for largest, bits in (
            (config.pes - 1, config.pe_bits),
            (config.pointer_limit, config.pointer_bits),
            (config.most_entries_per_line - 1, config.slot_bits),
            (config.columns - 1, config.pointer_address_bits),
            (config.lines - 1, config.line_address_bits),
            (config.rows - 1, config.row_bits),
        ):
            assert largest >> bits == 0
        assert config.lanes == 1 << config.lane_bits
        address = 1 << config.io_address_bits
        acts = config.lanes * 2 << config.act_row_bits
        assert address >= max(config.columns, config.lines, config.biases, acts)
        assert address >= config.codebooks << config.code_bits
        assert address >= config.layers * max(len(PE_COUNTERS), len(ARRAY_COUNTERS))
        assert address >= config.layers * descriptor_words(config)
        assert config.pointer_bits <= IO_DATA_BITS
        assert 2 * config.bank_columns >= config.columns


def test_json_is_an_identity(rng):
    for _ in range(20):
        config = random_config(rng)
        assert EieConfig.from_json(config.to_json()) == config
        assert EieConfig.from_json(config.to_json()).digest == config.digest


@pytest.mark.parametrize("change", [{"pes": None}, {"colour": 3}])
def test_json_with_other_fields_is_refused(change):
    values = EieConfig().to_json() | change
    values = {name: value for name, value in values.items() if value is not None}
    with pytest.raises(UserError, match=f"unknown or missing fields {next(iter(change))}"):
        EieConfig.from_json(values)


def test_every_field_changes_the_digest():
    base = preset("tiny", clusters=1, scan_pipeline=True, pe_registers=True)
    special = {"shift_bits": 5, "lanes": 2, "clusters": 2}
    changed = [
        replace(base, **{name: special.get(name, getattr(base, name) + 1)}) for name in RANGES
    ]
    without = {"scan_pipeline": {"scan_pipeline": False, "pe_registers": False}}
    changed += [
        replace(base, **without.get(name, {name: not getattr(base, name)})) for name in FLAGS
    ]
    digests = {config.digest for config in (base, *changed)}
    assert len(digests) == 1 + len(RANGES) + len(FLAGS)
    assert all(len(digest) == 16 and int(digest, 16) >= 0 for digest in digests)


@pytest.mark.parametrize(("pes", "clusters"), [(1, 1), (6, 2), (12, 4), (256, 4)])
def test_a_preset_divides_into_what_its_pes_allow(pes, clusters):
    assert preset("default", pes=pes).clusters == clusters
    assert preset("default", pes=pes, clusters=1).clusters == 1
