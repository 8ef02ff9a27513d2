"""The image file: what is written is read, and whatever was damaged is refused."""

import json
import subprocess
import sys
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import safetensors.numpy

from spec import image
from spec.eie.config import preset
from spec.eie.golden import GoldenModel
from spec.eie.program import MEMORIES, Program
from spec.errors import UserError
from tests.packing import Builder, Plan, Tile
from tests.programs import random_case, random_codes, random_program
from tests.spec.images import forged

pytestmark = pytest.mark.unit


@pytest.fixture
def program(rng):
    config = preset("tiny", pes=2)
    return random_program(rng, config, [10, 6, 3], density=0.5, orders=True)


@pytest.fixture
def path(program, tmp_path):
    return image.write(program, tmp_path / "net.skip")


def assert_same(found: Program, program: Program) -> None:
    assert found.config == program.config
    assert found.layers == program.layers
    for mine, theirs in zip(found.orders, program.orders, strict=True):
        assert np.array_equal(mine, theirs)
        assert mine.dtype == np.int64
    for mine, theirs in zip(found.segments, program.segments, strict=True):
        assert (mine.runs, mine.top) == (theirs.runs, theirs.top)
        for memory, kind in MEMORIES.items():
            assert np.array_equal(getattr(mine, memory), getattr(theirs, memory))
            assert getattr(mine, memory).dtype == kind


def test_what_is_written_is_read(rng):
    for _ in range(40):
        case = random_case(rng, images=1, largest=30)
        found = image.from_bytes(image.to_bytes(case.program))
        assert_same(found, case.program)
        outputs, _ = GoldenModel(found).run(case.batch)
        assert np.array_equal(outputs, GoldenModel(case.program).run(case.batch)[0])


def test_orders_of_another_type_are_refused(program):
    data = image.to_bytes(program)
    tensors = safetensors.numpy.load(data)
    tensors["layer0.order"] = tensors["layer0.order"].astype(np.float32)
    with pytest.raises(UserError, match="metadata is incomplete or wrong .an order is float32"):
        image.from_bytes(forged(program, lambda document: document, tensors))


def test_orders_of_outputs_beyond_all_bounds_are_refused(program):
    def change(document: dict) -> dict:
        document["layers"][0]["outputs"] = 1 << 62
        return document

    with pytest.raises(UserError, match="layer0: its order names not every output once"):
        image.from_bytes(forged(program, change))


def test_orders_may_be_left_out(program):
    """A program without any has all outputs in place; one that lacks some is no image."""
    bare = replace(program, orders=())
    assert_same(image.from_bytes(image.to_bytes(bare)), bare)
    first = replace(program, orders=program.orders[:1])
    with pytest.raises(UserError, match="1 orders of outputs for 2 layers"):
        image.from_bytes(image.to_bytes(first))


def test_equal_programs_give_equal_bytes(program):
    twin = random_program(np.random.default_rng(3), program.config, [5, 4])
    again = random_program(np.random.default_rng(3), program.config, [5, 4])
    assert image.to_bytes(twin) == image.to_bytes(again)
    assert image.to_bytes(twin) != image.to_bytes(program)


def test_files(program, path, tmp_path):
    assert_same(image.read(path), program)
    assert_same(image.read(str(path)), program)
    with pytest.raises(UserError, match="cannot read .*none.skip"):
        image.read(tmp_path / "none.skip")
    with pytest.raises(UserError, match="cannot write"):
        image.write(program, tmp_path / "none" / "net.skip")


def test_any_truncation_is_refused(program):
    data = image.to_bytes(program)
    for length in [*range(64), *range(64, len(data), 53), len(data) - 1]:
        with pytest.raises(UserError, match="^image: (not a Skipstone image|altered)"):
            image.from_bytes(data[:length])
    with pytest.raises(UserError, match="^image: "):
        image.from_bytes(data + b"\0")


def test_any_flipped_bit_is_refused(rng, program):
    data = image.to_bytes(program)
    places = {*range(256), *rng.integers(0, len(data), 1500).tolist()}
    for place in places:
        damaged = bytearray(data)
        damaged[place] ^= 1 << int(rng.integers(8))
        with pytest.raises(UserError, match="^image: "):
            image.from_bytes(bytes(damaged))


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"PK\3\4", b"not an image at all" * 10])
def test_other_files_are_refused(data):
    with pytest.raises(UserError, match="^x: not a Skipstone image, or a truncated one"):
        image.from_bytes(data, "x")


def test_other_safetensors_are_refused():
    data = safetensors.numpy.save({"weight": np.zeros(3)})
    with pytest.raises(UserError, match="not a Skipstone image"):
        image.from_bytes(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d | {"format_version": 1}, "format version 1, this reader takes 2"),
        (
            lambda d: d | {"engine": "gpu"},
            "engine 'gpu', this reader takes eie, nm, mixed",
        ),
        (lambda d: d | {"engine": []}, r"engine \[\], this reader takes"),
        (lambda d: d | {"config_digest": "0" * 16}, "does not have the digest that it states"),
        (lambda d: d | {"config": d["config"] | {"pes": 0}}, "pes = 0, must be an integer"),
        (lambda d: d | {"config": {}}, "unknown or missing fields"),
        (lambda d: d | {"config": 7}, "metadata is incomplete"),
        (lambda d: d | {"layers": [{}]}, "metadata is incomplete"),
        (lambda d: d | {"segments": d["segments"] * 2}, "metadata is incomplete"),
        (lambda d: d | {"segments": [{}]}, "metadata is incomplete"),
        (lambda d: {key: d[key] for key in d if key != "layers"}, "metadata is incomplete"),
        (lambda d: [], "not a Skipstone image"),
        (lambda d: 3, "not a Skipstone image"),
    ],
)
def test_metadata_of_another_kind_is_refused(program, change, message):
    with pytest.raises(UserError, match=message):
        image.from_bytes(forged(program, change))


def test_unchanged_metadata_is_taken(program):
    assert_same(image.from_bytes(forged(program, lambda document: document)), program)


@pytest.mark.parametrize("top", [False, True])
def test_unpack_gives_the_weights_that_were_packed(rng, top):
    """Of two layers, the second in four passes, both with their outputs in another order."""
    config = preset("default", pes=6, clusters=2, run_bits=2)
    codes = [random_codes(rng, config, *size, density=0.2) for size in ((30, 20), (25, 30))]
    books = np.pad(rng.integers(-99, 99, (2, 15)), ((0, 0), (1, 0)))
    orders = rng.permutation(30), rng.permutation(25)
    program = random_program(rng, config, [20, 30, 25])
    builder = Builder(config)
    mixed = codes[0][orders[0]], codes[1][np.ix_(orders[1], orders[0])]
    for index, matrix in enumerate(mixed):
        plan = Plan(matrix, index, np.zeros(len(matrix), np.int64), 1, 0, False)
        outputs = ((0, 12), (12, 13)) if index else ((0, 30),)
        parts = ((0, 12), (12, 18)) if index else ((0, 20),)
        for output, part in product(outputs, parts):
            tile = Tile(output, part, *rng.integers((2, 5)).tolist())
            builder.add_tile(index, plan, tile, (0, 0), swap=False)
    segment = builder.segment(books, top=top)
    found = image.unpack(replace(program, segments=(segment,), orders=orders))
    assert list(found) == ["layer0", "layer1"]
    for book, weights, matrix in zip(books, found.values(), codes, strict=True):
        assert np.array_equal(weights, book[matrix])


def test_inspect_counts(rng):
    config = preset("tiny", pes=2, clusters=2, run_bits=1, run_bits_most=3, rows=16)
    program = random_program(rng, config, [20, 14, 3], density=0.2, tiles=(1, 2), split=1, widen=2)
    summary = json.loads(json.dumps(image.inspect(program)))
    assert summary["config_digest"] == config.digest
    decoded = GoldenModel(program).decoded
    assert sum(layer["entries"] for layer in summary["layers"]) == sum(
        matrix.entries for matrix in decoded
    )
    for layer, stated in zip(summary["layers"], program.layers, strict=True):
        assert (layer["passes"], layer["run_bits"], layer["clusters"]) == (2, [3], [2])
        assert layer["entries"] == layer["pads"] + stated.weights
        assert layer["density"] == stated.weights / (stated.inputs * stated.outputs)
        # Every PE has the columns of its cluster, half of them, and one end more in each pass.
        pointers = stated.inputs + 2 * layer["passes"]
        entry_bits = layer["entries"] * (4 + 3)
        pointer_bits = pointers * config.pointer_bits
        assert layer["entry_bits_per_weight"] == pytest.approx(entry_bits / stated.weights)
        assert layer["pointer_bits_per_weight"] == pytest.approx(pointer_bits / stated.weights)
    (segment,) = summary["segments"]
    (packed,) = program.segments
    assert (segment["passes"], segment["runs"]) == (4, 1)
    assert segment["lines"] == list(packed.lines.shape)


def test_the_command_prints_a_table(path, capsys):
    image.main([str(path)])
    shown = capsys.readouterr().out
    for word in ("engine eie, 2 PEs", "layer0", "10x6", "layer1", "6x3", "bits/weight"):
        assert word in shown


def test_the_command_prints_json(program, path, capsys):
    image.main([str(path), "--json"])
    assert json.loads(capsys.readouterr().out) == image.inspect(program)


def test_the_command_unpacks(program, path, tmp_path, capsys):
    image.main([str(path), "--unpack", str(tmp_path / "dense.safetensors")])
    found = safetensors.numpy.load_file(tmp_path / "dense.safetensors")
    for name, weights in image.unpack(program).items():
        assert np.array_equal(found[name], weights)


def test_a_damaged_file_is_one_line_and_exit_code_2(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-m", "spec.image", str(path)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {path}: altered since it was written (its checksum differs)\n"


def first_run(document: dict) -> dict:
    return document["segments"][0]["runs"][0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["layers"][0].update(inputs="9"), "Layer.inputs is '9'"),
        (lambda d: d["layers"][0].update(inputs=True), "Layer.inputs is True"),
        (lambda d: d.update(layers=[]), "has 0 layers"),
        (lambda d: d["config"].update(pes=0), "net.skip: EIE configuration: pes = 0"),
        (lambda d: first_run(d)["passes"][0].update(layer=9), "layer at or up to 9"),
        (lambda d: first_run(d)["passes"][0]["descriptor"].update(codebook=99), "codebook"),
        (lambda d: first_run(d)["passes"][0]["descriptor"].pop("rows"), "'rows'"),
        (lambda d: first_run(d)["feed"].update(layer=9), "feed of layer 9, must be 0...1"),
        (lambda d: first_run(d).pop("fetch"), "metadata is incomplete or wrong"),
        (lambda d: d["segments"][0].pop("top"), "metadata is incomplete or wrong"),
        (lambda d: d["segments"][0].update(top=1), "metadata is incomplete or wrong"),
        (lambda d: d["segments"][0].update(top=True), "pointers at or up to 0"),
        (lambda d: d.update(segments=[3]), "metadata is incomplete or wrong"),
    ],
)
def test_forged_metadata_is_refused(rng, change, message):
    program = random_program(rng, preset("tiny"), [20, 14, 3], orders=False)
    with pytest.raises(UserError, match=message):
        image.from_bytes(forged(program, lambda d: (change(d), d)[1]), "net.skip")
