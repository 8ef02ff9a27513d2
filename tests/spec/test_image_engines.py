"""Image files of the N:M engine, and of both engines together: what is written is read, and
whatever was damaged or forged is refused."""

import json
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from spec import image
from spec.errors import UserError
from spec.mixed import Mixed
from spec.nm.golden import GoldenModel
from tests.spec.images import forged
from tests.spec.mixes import NM_CONFIG, random_mix
from tests.spec.nm.cases import random_case
from tests.spec.nm.networks import Network, conv_network, linear_network

pytestmark = pytest.mark.unit


@pytest.fixture
def network(rng) -> Network:
    return conv_network(rng, NM_CONFIG)


@pytest.fixture(params=["nm", "mixed"])
def program(request, rng, network) -> image.Program:
    if request.param == "nm":
        return network.program
    return random_mix(rng, "nm eie nm").program


def assert_same(found: Any, program: image.Program) -> None:
    """Of one kind, with the same metadata and tensors."""
    assert type(found) is type(program)
    assert image.to_bytes(found) == image.to_bytes(program)


def test_what_is_written_is_read(rng, program, tmp_path):
    path = image.write(program, tmp_path / "net.skip")
    found = image.read(path)
    assert_same(found, program)
    if isinstance(program, Mixed):
        return
    assert (found.config, found.layers) == (program.config, program.layers)
    assert found.chained is True
    for mine, theirs in zip(found.weights, program.weights, strict=True):
        for name, array in vars(theirs).items():
            assert np.array_equal(getattr(mine, name), array)
            assert getattr(mine, name).dtype == array.dtype


def test_any_layer_is_written_and_read(rng):
    for _ in range(20):
        case = random_case(rng)
        found = image.from_bytes(image.to_bytes(case.program))
        assert_same(found, case.program)
        outputs, counts = GoldenModel(found).run_layer(0, case.acts)
        assert np.array_equal(outputs, case.expected())
        assert counts == GoldenModel(case.program).run_layer(0, case.acts)[1]


def test_layers_that_are_no_chain_are_written_and_read(rng):
    program = linear_network(rng, NM_CONFIG, [9, 5]).program
    data = forged(program, lambda document: document | {"chained": False})
    assert image.from_bytes(data).chained is False


def test_equal_programs_give_equal_bytes():
    one, other = (random_mix(np.random.default_rng(3)).program for _ in range(2))
    assert image.to_bytes(one) == image.to_bytes(other)


def test_any_truncation_is_refused(program):
    data = image.to_bytes(program)
    for length in [*range(64), *range(64, len(data), 97), len(data) - 1]:
        with pytest.raises(UserError, match="^image: (not a Skipstone image|altered)"):
            image.from_bytes(data[:length])


def test_any_flipped_bit_is_refused(rng, program):
    data = image.to_bytes(program)
    for place in {*range(256), *rng.integers(0, len(data), 700).tolist()}:
        damaged = bytearray(data)
        damaged[place] ^= 1 << int(rng.integers(8))
        with pytest.raises(UserError, match="^image: "):
            image.from_bytes(bytes(damaged))


# What is inside ----------------------------------------------------------------------------------


def test_unpack_gives_the_weights_that_were_packed(network):
    found = image.unpack(network.program)
    assert list(found) == ["conv1", "conv2", "fc"]
    for layer, matrix in zip(network.program.layers, network.matrices, strict=True):
        weights, dense = found[layer.name], matrix.dense
        if layer.unfold and layer.unfold.channels_last:
            sizes = (len(dense), *layer.unfold.kernel, layer.unfold.channels)
            dense = dense.reshape(sizes).transpose(0, 3, 1, 2).reshape(len(dense), -1)
        assert weights.dtype == np.int64
        assert np.array_equal(weights, dense)


def test_unpack_of_any_layer(rng):
    for _ in range(20):
        case = random_case(rng)
        assert np.array_equal(image.unpack(case.program)["layer"], case.matrix.dense)


def test_inspect_counts(network):
    summary = json.loads(json.dumps(image.inspect(network.program)))
    assert summary["engine"] == "nm"
    assert summary["config_digest"] == NM_CONFIG.digest
    assert summary["chained"] is True
    for number, (layer, matrix) in enumerate(zip(summary["layers"], network.matrices, strict=True)):
        weights = np.count_nonzero(matrix.dense)
        assert layer["weights"] == weights
        assert layer["density"] == weights / matrix.dense.size
        words = network.program.weights[number].strips.size
        assert sum(layer["bits"].values()) == words * 64
        assert layer["stored"] == words * 64 / (matrix.dense.size * 8)
        assert layer["strips"] == 2
        assert (layer["bits"]["offsets"] > 0) == layer["gather"] == (number == 1)
        assert (layer["bits"]["places"] > 0) == (number != 1)


def test_inspect_of_stages(rng):
    program = random_mix(rng, "nm eie").program
    summary = image.inspect(program)
    assert summary["engine"] == "mixed"
    assert summary["stages"] == [image.inspect(stage) for stage in program.stages]


def test_the_command_prints_a_table(program, tmp_path, capsys):
    path = image.write(program, tmp_path / "net.skip")
    image.main([str(path)])
    shown = capsys.readouterr().out
    words = ["engine nm, 4 x 2 MAC units of 2 multipliers", "bits/weight"]
    if isinstance(program, Mixed):
        words += ["engine eie, 4 PEs", "stage0_0", "stage1_0", "stage2_0", "12x10"]
    else:
        words += ["conv1", "27x6", "1:2", "gathered", "2:4"]
    for word in words:
        assert word in shown


def test_the_command_prints_json(program, tmp_path, capsys):
    path = image.write(program, tmp_path / "net.skip")
    image.main([str(path), "--json"])
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(image.inspect(program)))


def test_the_command_unpacks(program, tmp_path, capsys):
    path = image.write(program, tmp_path / "net.skip")
    image.main([str(path), "--unpack", str(tmp_path / "dense.safetensors")])
    found = safetensors.numpy.load_file(tmp_path / "dense.safetensors")
    expected = image.unpack(program)
    assert set(found) == set(expected)
    for name, weights in expected.items():
        assert np.array_equal(found[name], weights)
