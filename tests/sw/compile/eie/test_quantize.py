"""Quantization: scales, codebooks, multipliers, and the proof against brute force."""

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest

from spec.eie.config import EieConfig, preset
from spec.errors import UserError
from spec.numbers import signed_bounds
from sw.compile.calibrate import Ranges
from sw.compile.eie.quantize import (
    check_sums,
    count_codes,
    quantize_layer,
    quantize_network,
)
from sw.compile.eie.share import SharedLayer, recover
from sw.compile.scaling import MisfitError
from tests.sw.compile.networks import float_layers, integer_layers

pytestmark = pytest.mark.unit


def small(**changes: int) -> EieConfig:
    """Widths for which every input can be tried."""
    widths = {"act_bits": 2, "weight_bits": 3, "acc_bits": 6, "multiplier_bits": 8, "code_bits": 2}
    return preset("tiny", **(widths | changes))


def shared(codes: np.ndarray, values: list[float], bias: np.ndarray | None = None) -> SharedLayer:
    bias = np.zeros(len(codes)) if bias is None else bias
    return SharedLayer(
        name="fc", codes=codes.astype(np.uint8), values=np.array(values), bias=bias, relu=False
    )


def test_bounds_are_the_exact_worst_case(rng):
    """All inputs of all sums, on small widths; zeros among them make every order and prefix."""
    refused = 0
    for _ in range(150):
        config = small(acc_bits=5)
        columns = int(rng.integers(1, 7))
        codes = rng.integers(0, config.codes, (3, columns)).astype(np.uint8)
        codebook = rng.integers(*signed_bounds(config.weight_bits), config.codes, endpoint=True)
        codebook[0] = 0
        low, high = signed_bounds(config.act_bits)
        low = low if rng.integers(2) else 0
        inputs = np.array(list(itertools.product(range(low, high + 1), repeat=columns)))
        reached = inputs @ codebook[codes].T
        exact = int(reached.min()), int(reached.max())
        allowed = signed_bounds(config.acc_bits)
        counts = count_codes(codes, config.codes)
        if allowed[0] <= exact[0] and exact[1] <= allowed[1]:
            assert check_sums(counts, codebook, (low, high), config) == exact
        else:
            refused += 1
            with pytest.raises(MisfitError, match="its sum can reach") as caught:
                check_sums(counts, codebook, (low, high), config)
            row, least, most = map(
                int, re.findall(r"row (\d+).* (-?\d+)\.\.\.(\d+),", str(caught.value))[0]
            )
            assert (least, most) == (reached[:, row].min(), reached[:, row].max())
            assert least < allowed[0] or most > allowed[1]
    assert 20 < refused < 130


def test_bounds_beyond_64_bits_are_exact():
    config = preset("tiny", act_bits=32, weight_bits=28, acc_bits=60, multiplier_bits=2)
    codebook = np.zeros(config.codes, np.int64)
    codebook[1] = signed_bounds(28)[0]
    counts = np.array([[0, 2**20]])
    with pytest.raises(MisfitError, match=f"-{2**20 * 2**27 * (2**31 - 1)}...{2**20 * 2**58}"):
        check_sums(counts, codebook, signed_bounds(32), config)


def test_count_codes(rng):
    codes = rng.integers(0, 5, (7, 20)).astype(np.uint8)
    counts = count_codes(codes, 5)
    for row, code in itertools.product(range(7), range(1, 5)):
        assert counts[row, code] == (codes[row] == code).sum()
    assert not counts[:, 0].any()


def test_scales_are_handed_on(rng):
    config = preset("default")
    floats = float_layers(rng)
    layers = [recover(layer, config) for layer in floats]
    ranges = Ranges(4.0, (3.0, 2.0, 1.0))
    result = quantize_network(layers, ranges, config)
    assert result[0].input_scale == 4.0 / 32767
    for before, after in itertools.pairwise(result):
        assert after.input_scale == before.output_scale
    for layer, real, reach in zip(result, floats, ranges.outputs, strict=True):
        assert layer.output_scale == pytest.approx(reach / 32767, rel=2**-16)
        factor = layer.multiplier / 2**layer.shift
        exact = layer.input_scale * layer.weight_scale / layer.output_scale
        assert factor == pytest.approx(exact, rel=1e-15)
        assert np.abs(layer.codebook).max() == 32767
        error = layer.codebook[layer.codes] * layer.weight_scale - real.weight
        assert np.abs(error).max() <= layer.weight_scale / 2
        unit = layer.input_scale * layer.weight_scale
        assert np.abs(layer.bias * unit - real.bias).max() <= unit / 2
        assert layer.weight_bits == 16
        assert layer.vanished == 0


def test_a_relu_in_front_halves_the_range():
    """A layer behind a ReLU never sees a negative activation, and its bound says so."""
    config = preset("tiny")
    layer = shared(np.array([[1, 1], [2, 0]]), [0, 1.0, -1.0])
    with_relu, without = (
        quantize_network([replace(layer, relu=relu), layer], Ranges(1, (1, 1)), config)[1]
        for relu in (True, False)
    )
    assert with_relu.sums == (-(32767**2), 2 * 32767**2)
    assert without.sums == (-2 * 32767 * 32768, 2 * 32767**2)


def test_weights_that_vanish_become_zeros():
    config = preset("tiny")
    layer = shared(np.array([[1, 2, 3], [0, 2, 2]]), [0, 1e-6, -2e-6, 1.0])
    result = quantize_layer(layer, 1.0, 1.0, config, act_range=(-8, 7))
    assert result.vanished == 4
    assert result.codes.tolist() == [[0, 0, 3], [0, 0, 0]]
    assert result.codebook[:4].tolist() == [0, 0, 0, 32767]
    assert layer.codes.tolist() == [[1, 2, 3], [0, 2, 2]]


def test_a_layer_without_weights_passes_its_bias_on():
    layer = shared(np.zeros((3, 2)), [0.0], bias=np.array([0.5, -0.25, 0.0]))
    result = quantize_layer(layer, 0.125, 2.0**-10, preset("tiny"), act_range=(-8, 7))
    assert result.multiplier == 1 << result.shift
    assert (result.bias * result.output_scale).tolist() == [0.5, -0.25, 0.0]
    assert result.sums == (0, 0)


def test_rescaling_gives_up_just_enough_bits(rng):
    """With one bit more the sums would not fit."""
    config = preset("tiny", acc_bits=34)
    for columns, bits in ((1, 16), (8, 16), (9, 15), (17, 14), (4000, 7)):
        layer = shared(np.ones((1, columns)), [0, 0.3])
        result = quantize_layer(layer, 1e-4, 1e-3, config, act_range=(-32768, 32767))
        assert result.weight_bits == bits
        assert result.codebook[1] == signed_bounds(bits)[1]
        assert result.sum_bits <= 34


def test_sums_that_do_not_fit_are_refused(rng):
    config = preset("tiny", acc_bits=32)
    layer = shared(np.array([[0] * 10, [1] * 10]), [0, -0.3])
    message = (
        r"layer fc, row 1: its sum can reach -10736\d*\.\.\.10737\d*, an accumulator of 32 bits "
        r"holds -2147483648\.\.\.2147483647, and rescaling is off"
    )
    with pytest.raises(UserError, match=message):
        quantize_layer(layer, 1, 1, config, act_range=(-32768, 32767), rescale=False)
    wide = shared(np.ones((1, 70000)), [0, 0.3])
    with pytest.raises(UserError, match="layer fc, row 0: .* not even with weights of 4 bits"):
        quantize_layer(wide, 1, 1, config, act_range=(-32768, 32767))


def test_biases_that_do_not_fit():
    config = preset("tiny", acc_bits=32)
    layer = shared(np.ones((2, 1)), [0, 1.0], bias=np.array([0.0, -1e5]))
    result = quantize_layer(layer, 1e-3, 1e-2, config, act_range=(0, 127))
    assert result.weight_bits == 5
    assert result.bias.tolist() == [0, -15 * 10**8]
    with pytest.raises(UserError, match=r"layer fc, row 1: its bias becomes -3.28e\+12, an"):
        quantize_layer(layer, 1e-3, 1e-2, config, act_range=(0, 127), rescale=False)
    with pytest.raises(UserError, match="row 1: its bias becomes .* not even with"):
        quantize_layer(layer, 1e-7, 1e-2, config, act_range=(0, 127))


@pytest.mark.parametrize(("scale", "shown"), [(1.0, r"7e\+300"), (1e-9, "inf")])
@pytest.mark.filterwarnings("error")
def test_biases_beyond_all_integers(scale, shown):
    layer = shared(np.ones((1, 1)), [0, 1.0], bias=np.array([1e300]))
    with pytest.raises(UserError, match=f"row 0: its bias becomes {shown}, an accumulator"):
        quantize_layer(layer, scale, 1.0, preset("tiny"), act_range=(0, 127))


def test_a_shift_that_is_too_short():
    config = preset("tiny", shift_bits=4)
    layer = shared(np.ones((1, 1)), [0, 1.0])
    result = quantize_layer(layer, 1.0, 1.5, config, act_range=(-8, 7))
    assert result.weight_bits < 16
    assert result.output_scale == pytest.approx(1.5, rel=0.07)
    with pytest.raises(UserError, match="layer fc: .* rescaling is off"):
        quantize_layer(layer, 1.0, 4.0, config, act_range=(-8, 7), rescale=False)
    with pytest.raises(UserError, match="layer fc: .* vanishes .* not even with weights of 4 bits"):
        quantize_layer(layer, 1.0, 1e9, config, act_range=(-8, 7))


def test_random_networks_on_narrow_configurations_never_overflow(rng):
    """Real sums of the worst inputs stay within the width that was proven."""
    for _ in range(20):
        config = small(act_bits=4, weight_bits=6, acc_bits=11, code_bits=3)
        for layer in integer_layers(rng, config, (9, 7, 4)):
            low, high = signed_bounds(config.acc_bits)
            assert low <= layer.sums[0] <= layer.sums[1] <= high
            weights = layer.codebook[layer.codes]
            for acts in (np.where(weights > 0, 7, -8), np.where(weights > 0, -8, 7)):
                sums = (weights * acts).cumsum(axis=1)
                if layer.name == "fc0":
                    assert (sums >= layer.sums[0]).all()
                    assert (sums <= layer.sums[1]).all()
