"""Layers in PyTorch's semi-structured form, against PyTorch's own conversion."""

import itertools
import json
import sys

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn
from torch.sparse._semi_structured_conversions import (
    sparse_semi_structured_from_dense_cutlass,
    sparse_semi_structured_to_dense_cutlass,
)

from spec import image
from spec.errors import UserError, cli
from spec.nm.config import Mode, preset
from spec.nm.golden import Decoded
from spec.nm.pack import Matrix, pack_layer
from spec.nm.program import Program
from sw.compile import compile_network
from sw.compile.nm.export import DTYPES, compress, export_layer, main
from sw.compress.patterns import nm_mask
from tests.sw.compile.images import prune, settle

pytestmark = pytest.mark.unit

KINDS = pytest.mark.parametrize("kind", DTYPES.values(), ids=DTYPES)


def same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether tensors are equal, also in the signs of their zeros."""
    container = {1: torch.int8, 2: torch.int16, 4: torch.int32}[one.element_size()]
    return one.dtype == other.dtype and torch.equal(one.view(container), other.view(container))


def check(weight: torch.Tensor) -> None:
    wanted = sparse_semi_structured_from_dense_cutlass(weight)
    for one, other in zip(compress(weight), wanted, strict=True):
        assert same_bits(one, other)


@KINDS
def test_random_matrices(rng, kind):
    for rows, inputs in ((32, 64), (64, 192), (96, 128)):
        weight = torch.from_numpy(rng.integers(-128, 128, (rows, inputs)))
        check((weight * nm_mask(weight.float(), 2, 4)).to(kind))


@KINDS
def test_all_groups_of_at_most_two(rng, kind):
    """Groups with 0, 1 and 2 non-zeros in every place, in every order of neighbours."""
    places = [mask for mask in itertools.product((0, 1), repeat=4) if sum(mask) <= 2]
    chosen = np.array(places)[rng.integers(0, len(places), (64, 32))]
    first = np.resize(np.array(places), (11 * 4, 4))
    chosen[0, :11] = first[:11]
    values = rng.integers(1, 128, chosen.shape) * rng.choice([-1, 1], chosen.shape)
    weight = torch.from_numpy((chosen * values).reshape(64, 128)).to(kind)
    check(weight)
    check(torch.zeros(64, 128, dtype=kind))
    if kind.is_floating_point:
        # A zero with a sign is a zero, and keeps it.
        check(torch.where(torch.from_numpy(chosen.reshape(64, 128) == 0), -0.0, weight))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (
            torch.ones(64, 128),
            r"shape \(64, 128\) and type torch.float32, must be a matrix of int8",
        ),
        (torch.ones(64, dtype=torch.int8), "must be a matrix"),
        (torch.zeros(64, 30, dtype=torch.int8), "rows of 30 inputs are no whole groups of 4"),
        (torch.zeros(8, 64, dtype=torch.int8), "8 x 64: PyTorch wants multiples of 16 x 64"),
        (torch.zeros(16, 32, dtype=torch.float16), "16 x 32: PyTorch wants multiples of 32 x 32"),
    ],
)
def test_what_pytorch_does_not_take(weight, message):
    with pytest.raises(UserError, match=message):
        compress(weight)


def test_a_group_with_three(rng):
    weight = torch.zeros(32, 64, dtype=torch.int8)
    weight[7, 12:15] = 1
    with pytest.raises(UserError, match="row 7, group 3: 3 non-zeros in the inputs 12...15"):
        compress(weight)


# Images ---------------------------------------------------------------------------------------


@pytest.fixture
def program(rng):
    """Layers in 2:4, in 1:4, in no pattern, and of a size that PyTorch does not take."""
    parts = [nn.Conv2d(2, 64, 3), nn.ReLU(), nn.Conv2d(64, 32, 3), nn.ReLU(), nn.Flatten()]
    parts += [nn.Linear(32, 64), nn.Linear(64, 32), nn.Linear(32, 32), nn.Linear(32, 10)]
    module = settle(nn.Sequential(*parts), rng)
    for at, n in ((2, 2), (5, 2), (6, 1), (8, 2)):
        prune(module[at], nm_mask, n, 4)
    # A multiplier of few bits gives every channel a scale of its own.
    config = preset("default", multiplier_bits=4)
    return compile_network(module, rng.normal(size=(12, 2, 5, 5)), config).program


@KINDS
def test_layers_of_an_image(program, kind):
    for number, name in ((1, "2"), (3, "6")):
        tensors = export_layer(program, number, kind)
        dense = sparse_semi_structured_to_dense_cutlass(tensors["compressed"], tensors["metadata"])
        integers = image.unpack(program)[name]
        if number == 1:
            integers = integers[:, tensors["columns"].numpy()]
        scales, given = program.weights[number].scales, program.weights[number].input_scales
        if kind == torch.int8:
            np.testing.assert_array_equal(dense.numpy(), integers)
        else:
            each = np.tile(given, 9) if number == 1 else given
            assert program.layers[1].unfold.channels_last
            assert len(set(given)) > 3
            real = torch.from_numpy(integers * scales[:, None] / each).to(kind)
            assert torch.equal(dense, real)
        wanted = sparse_semi_structured_from_dense_cutlass(dense)
        assert same_bits(tensors["compressed"], wanted[0])
        assert same_bits(tensors["metadata"], wanted[1])
        bias = Decoded(program, number).bias[: len(scales)] * scales
        np.testing.assert_array_equal(tensors["bias"].numpy(), bias)
        np.testing.assert_array_equal(tensors["scales"].numpy(), scales)


def test_weights_that_a_type_does_not_hold():
    config = preset("tiny")
    dense = np.zeros((32, 64), np.int64)
    dense[7, ::4] = 100
    ones = np.ones(32, np.int64)
    matrix = Matrix(dense=dense, bias=ones, multiplier=ones, shift=ones)
    packed = pack_layer(config, "far", matrix, Mode(2, 4), scales=np.full(32, 1e4))
    program = Program(config=config, layers=packed[:1], weights=packed[1:])
    with pytest.raises(UserError, match=r"layer far: row 7 .* up to 1e\+06, .* float16"):
        export_layer(program, 0, torch.float16)
    assert export_layer(program, 0, torch.bfloat16)["compressed"].isfinite().all()


def run(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["export", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli(main)
    return int(ended.value.code or 0)


def test_the_command(program, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    image.write(program, "net.skip")
    assert run(monkeypatch, "net.skip", "-o", "all.safetensors") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == "all.safetensors: 2, 6"
    assert [line.split(":")[0] for line in out[:-1]] == [
        "skipped layer 0",
        "skipped layer 5",
        "skipped layer 7",
        "skipped layer 8",
    ]
    tensors = safetensors.torch.load_file("all.safetensors")
    parts = ("bias", "compressed", "input_scales", "metadata", "scales")
    names = [f"{name}.{part}" for name in ("2", "6") for part in parts]
    assert sorted(tensors) == sorted([*names, "2.columns"])
    main(["net.skip", "-o", "one.safetensors", "--layer", "6", "--dtype", "bfloat16", "--json"])
    document = json.loads(capsys.readouterr().out)
    assert document == {"file": "one.safetensors", "layers": ["6"], "skipped": []}
    one = safetensors.torch.load_file("one.safetensors")
    assert one["6.compressed"].dtype == torch.bfloat16
    assert one["6.metadata"].dtype == torch.int16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layer", "7"], "layer 7: row 0, group 0"),
        (["--layer", "fc"], "the image has no layer 'fc' of an N:M array; it has 0, 2, 5, 6, 7, 8"),
        (
            ["--dtype", "float32"],
            "--dtype float32: PyTorch has semi-structured tensors of int8, fl",
        ),
    ],
)
def test_mistakes(program, tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    image.write(program, "net.skip")
    assert run(monkeypatch, "net.skip", "-o", "w.safetensors", *options) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
    assert not (tmp_path / "w.safetensors").exists()


def test_images_without_such_layers(rng, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    dense = compile_network(nn.Linear(64, 32), rng.normal(size=(5, 64)), preset("default"))
    image.write(dense.program, "dense.skip")
    assert run(monkeypatch, "dense.skip", "-o", "w.safetensors") == 2
    assert "no layer that PyTorch takes; layer linear: row 0" in capsys.readouterr().err
