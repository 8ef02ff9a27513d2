import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from spec.errors import UserError
from sw.compress.quantize.llm_int8 import LlmInt8Linear, llm_int8, llm_int8_linear, quantize_rows
from tests.sw.compress.networks import tensor, two_layers

pytestmark = pytest.mark.unit

f32, f16 = np.float32, np.float16


def integers_of(row: np.ndarray, threshold: float) -> tuple[list[int], np.float32]:
    """One row without its outliers: the largest magnitude, and every number by itself."""
    inner = [value if not threshold or abs(value) < threshold else f16(0) for value in row]
    largest = f32(max(abs(value) for value in inner))
    factor = f32(1) / largest * f32(127.0) if largest else f32(0)
    return [int(np.rint(f32(value) * factor)) for value in inner], largest


def by_loops(x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, threshold: float) -> np.ndarray:
    """LLM.int8() number by number, in the order of operations of bitsandbytes' PyTorch backend."""
    half, weights = x.astype(f16), [integers_of(row, 0) for row in w.astype(f16)]
    outliers = [j for j in range(x.shape[1]) if threshold and (abs(half[:, j]) >= threshold).any()]
    out = np.zeros((len(x), len(w)), x.dtype)
    for r, row in enumerate(half):
        integers, largest = integers_of(row, threshold)
        for c, (own, scale) in enumerate(weights):
            inner = [j for j in range(x.shape[1]) if j not in outliers]
            total = sum(integers[j] * own[j] for j in inner)
            value = f32(total) * (largest * scale) * f32(6.200124e-05)
            if bias is not None:
                value = value + f32(bias[c])
            out[r, c] = value
            more = [
                float(x[r, j])
                * float(x.dtype.type(f32(own[j]) * scale * f32(7.874015718698502e-3)))
                for j in outliers
            ]
            if outliers:
                out[r, c] = x.dtype.type(float(out[r, c]) + math.fsum(more))
    return out


def inputs(rng, rows: int = 6, columns: int = 40) -> torch.Tensor:
    x = tensor(rng, rows, columns)
    x[0, 17], x[-1, 3], x[-1, 17] = 6.0, -9.5, 30.0
    return x


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_without_outliers_every_bit_is_that_of_the_loops(rng, dtype, with_bias):
    x, weight = inputs(rng).to(dtype), tensor(rng, 7, 40).to(dtype)
    weight[2] = 0
    bias = tensor(rng, 7).to(dtype) if with_bias else None
    found = llm_int8_linear(x, weight, bias, threshold=0.0)
    wanted = by_loops(x.numpy(), weight.numpy(), None if bias is None else bias.numpy(), 0.0)
    assert found.dtype == dtype
    assert np.array_equal(found.numpy(), wanted)


@pytest.mark.parametrize("rows", [1, 6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_outlier_columns_in_higher_precision(rng, dtype, rows):
    x, weight, bias = inputs(rng, rows).to(dtype), tensor(rng, 7, 40).to(dtype), tensor(rng, 7)
    found = llm_int8_linear(x, weight, bias)
    wanted = by_loops(x.numpy(), weight.numpy(), bias.numpy(), 6.0)
    # Only the last sum's order is left open: of a few products, in the inputs' type.
    tolerance = 4 * np.finfo(wanted.dtype).eps
    assert np.allclose(found.numpy(), wanted, rtol=tolerance, atol=40 * tolerance)
    true = torch.nn.functional.linear(x.float(), weight.float(), bias)
    off, plain = (
        (llm_int8_linear(x, weight, bias, t).float() - true).abs().mean() for t in (6.0, 0.0)
    )
    if rows > 1:
        assert off < plain


def test_bits_that_depend_on_the_order_of_operations(rng):
    """Whether 127 is divided, or multiplied by a reciprocal, shows in one number of thousands."""
    matrix = tensor(rng, 1000, 60)
    found = quantize_rows(matrix)
    wanted = [integers_of(row, 0) for row in matrix.numpy().astype(f16)]
    assert found.integers.tolist() == [integers for integers, _ in wanted]
    assert found.largest.tolist() == [float(largest) for _, largest in wanted]


def test_what_is_an_outlier(rng):
    x = inputs(rng)
    found = quantize_rows(x, 6.0)
    assert found.outliers.tolist() == [3, 17]
    assert (found.integers[:, [3, 17]] == 0).all()
    assert quantize_rows(x, 6.01).outliers.tolist() == [3, 17]
    assert quantize_rows(x, 9.51).outliers.tolist() == [17]
    assert quantize_rows(x, 6.0).largest.max() < 6
    assert quantize_rows(x).outliers.tolist() == []
    assert quantize_rows(x).largest[-1] == 30


def test_long_sums_are_exact():
    """Beyond 2**24 a product of floats would lose bits."""
    x, weight = torch.ones(1, 5000), torch.ones(2, 5000)
    x[0, 0] = weight[:, 0] = 1 / 127
    total = 4999 * 127**2 + 1
    assert total > 2**24
    wanted = f32(total) * f32(1) * f32(6.200124e-05)
    assert llm_int8_linear(x, weight).tolist() == [[float(wanted)] * 2]


def test_no_rows_are_no_rows(rng):
    assert llm_int8_linear(tensor(rng, 0, 3, 8), tensor(rng, 5, 8)).shape == (0, 3, 5)


def test_modules(rng):
    model, x = two_layers(rng), tensor(rng, 3, 4, 20)
    before = copy.deepcopy(model.state_dict())
    result = llm_int8(model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert [type(layer) for layer in result.children()] == [LlmInt8Linear, nn.ReLU, LlmInt8Linear]
    hidden = torch.relu(llm_int8_linear(x, model[0].weight, model[0].bias))
    wanted = llm_int8_linear(hidden, model[2].weight, model[2].bias)
    assert torch.equal(result(x), wanted)
    assert result(x).shape == (3, 4, 5)
    other = llm_int8(two_layers(rng))
    other.load_state_dict(result.state_dict())
    assert torch.equal(other(x), wanted)
    some = llm_int8(model, layers=["2"])
    assert isinstance(some[0], nn.Linear)
    assert isinstance(llm_int8(nn.Linear(3, 2)), LlmInt8Linear)
    assert "in_features=20, out_features=30, threshold=6.0" in repr(result)


def test_bad_input(rng):
    model = two_layers(rng)
    with pytest.raises(UserError, match="no Linear layer '1'; there are 0, 2"):
        llm_int8(model, layers=["1"])
    with pytest.raises(UserError, match="threshold of -1 was given, must be 0"):
        LlmInt8Linear.from_linear(model[0], -1)
    with pytest.raises(UserError, match="threshold of -1"):
        llm_int8_linear(torch.ones(1, 20), model[0].weight, threshold=-1)
    with pytest.raises(UserError, match="inputs have 19 columns, the weight has 20"):
        llm_int8_linear(torch.ones(1, 19), model[0].weight)
    with pytest.raises(UserError, match="NaN, or infinite as float16"):
        llm_int8_linear(torch.full((1, 20), torch.nan), model[0].weight)
    with pytest.raises(UserError, match="infinite as float16"):
        LlmInt8Linear.from_linear(nn.Linear(2, 2).requires_grad_(False).apply(_enlarge))


def _enlarge(layer: nn.Linear) -> None:
    layer.weight.fill_(1e6)
