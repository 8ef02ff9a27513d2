"""The image file: what is written is read, and whatever was damaged is refused."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy

from spec import image
from spec.eie.config import preset
from spec.eie.golden import GoldenModel
from spec.eie.program import Program
from spec.errors import UserError
from tests.packing import Builder, Plan
from tests.programs import random_case, random_codes, random_program

pytestmark = pytest.mark.unit


@pytest.fixture
def program(rng):
    config = preset("tiny", pes=2)
    return random_program(rng, config, [10, 6, 3], density=0.5)


@pytest.fixture
def path(program, tmp_path):
    return image.write(program, tmp_path / "net.skip")


def assert_same(found: Program, program: Program) -> None:
    assert found.config == program.config
    assert found.layers == program.layers
    for mine, theirs in zip(found.segments, program.segments, strict=True):
        assert (mine.passes, mine.feed, mine.fetch) == (theirs.passes, theirs.feed, theirs.fetch)
        for memory, kind in image.MEMORIES.items():
            assert np.array_equal(getattr(mine, memory), getattr(theirs, memory))
            assert getattr(mine, memory).dtype == kind


def test_what_is_written_is_read(rng):
    for _ in range(40):
        case = random_case(rng, images=1, largest=30)
        found = image.from_bytes(image.to_bytes(case.program))
        assert_same(found, case.program)
        outputs, _ = GoldenModel(found).run(case.batch)
        assert np.array_equal(outputs, GoldenModel(case.program).run(case.batch)[0])


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


def forged(program: Program, change) -> bytes:
    """An image with other metadata and a checksum that is right."""
    data = image.to_bytes(program)
    tensors = safetensors.numpy.load(data)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    document = json.loads(header["__metadata__"]["skipstone"])
    text = json.dumps(change(document))
    metadata = {"skipstone": text, "sha256": image._checksum(text, tensors)}
    return safetensors.numpy.save(tensors, metadata)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d | {"format_version": 2}, "format version 2, this reader takes 1"),
        (lambda d: d | {"engine": "nm"}, "made for the engine 'nm', this reader takes 'eie'"),
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


def test_unpack_gives_the_weights_that_were_packed(rng):
    config = preset("default", pes=3, run_bits=2)
    codes = random_codes(rng, config, 25, 30, density=0.2)
    book = np.concatenate([[0], rng.integers(-99, 99, 15)])
    plan = Plan(codes, 1, np.zeros(25, np.int64), 1, 0, False)
    builder = Builder(config)
    for output in ((0, 12), (12, 13)):
        for part in ((0, 9), (9, 21)):
            builder.add_pass(0, plan, output, part, (0, 0), swap=False)
    program = random_program(rng, config, [30, 25])
    segment = builder.segment(np.stack([book * 0, book]), None, None)
    found = image.unpack(replace(program, segments=(segment,)))
    assert list(found) == ["layer0"]
    assert np.array_equal(found["layer0"], book[codes])


def test_inspect_counts(rng):
    config = preset("tiny", pes=2, run_bits=1)
    program = random_program(rng, config, [20, 14, 3], density=0.2, tiles=(1, 2))
    summary = json.loads(json.dumps(image.inspect(program)))
    assert summary["config_digest"] == config.digest
    decoded = GoldenModel(program).decoded
    assert sum(layer["pads"] for layer in summary["layers"]) == sum(
        matrix.pads.sum() for matrix in decoded
    )
    for layer, stated in zip(summary["layers"], program.layers, strict=True):
        assert layer["passes"] == 2
        assert layer["entries"] == layer["pads"] + stated.weights
        assert layer["density"] == stated.weights / (stated.inputs * stated.outputs)
        pointers = 2 * (stated.inputs + layer["passes"])
        entry_bits = layer["entries"] * config.entry_bits
        pointer_bits = pointers * config.pointer_bits
        assert layer["entry_bits_per_weight"] == pytest.approx(entry_bits / stated.weights)
        assert layer["pointer_bits_per_weight"] == pytest.approx(pointer_bits / stated.weights)


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["layers"][0].update(inputs="9"), "Layer.inputs is '9'"),
        (lambda d: d["layers"][0].update(inputs=True), "Layer.inputs is True"),
        (lambda d: d.update(layers=[]), "has 0 layers"),
        (lambda d: d["config"].update(pes=0), "net.skip: EIE configuration: pes = 0"),
        (lambda d: d["segments"][0]["passes"][0].update(layer=9), "layer up to 9"),
        (lambda d: d["segments"][0]["passes"][0]["descriptor"].update(codebook=99), "codebook"),
        (lambda d: d["segments"][0]["passes"][0]["descriptor"].pop("rows"), "'rows'"),
        (lambda d: d.update(segments=[3]), "metadata is incomplete or wrong"),
    ],
)
def test_forged_metadata_is_refused(rng, change, message):
    program = random_program(rng, preset("tiny"), [20, 14, 3])
    with pytest.raises(UserError, match=message):
        image.from_bytes(forged(program, lambda d: (change(d), d)[1]), "net.skip")
