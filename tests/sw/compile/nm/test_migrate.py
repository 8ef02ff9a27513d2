"""Scales of layers that are compiled each by itself: of inputs, of rows, of results."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spec.errors import UserError
from spec.nm.config import preset
from spec.nm.golden import GoldenModel
from spec.nm.program import Program
from sw.compile.nm.linears import compile_linears, on_device
from sw.compile.nm.migrate import migrate
from tests.sw.compile.nm.modules import branches, images

pytestmark = pytest.mark.unit

CONFIG = preset("tiny", act_lines=128, weight_steps=64, gather_lines=32)
LAYERS = ["stem", "depth", "query", "key", "mix", "head.0", "head.2", "other"]


def golden(program: Program) -> Callable[[int, np.ndarray], np.ndarray]:
    model = GoldenModel(program)
    return lambda number, acts: model.run_layer(number, acts)[0]


def on_golden(network: nn.Module, program: Program, *arguments: object) -> Tensor:
    with on_device(network, program, golden(program)), torch.no_grad():
        return network(*arguments)


def refused(*arguments: object, **options: object) -> str:
    with pytest.raises(UserError) as error:
        compile_linears(*arguments, **options)
    return str(error.value)


def test_headroom_widens_scales(seed: int):
    torch.manual_seed(seed)
    layer, samples = nn.Linear(8, 4), torch.randn(20, 8)
    tight, wide = (
        compile_linears(layer, samples, CONFIG, headroom=one).weights[0] for one in (0, 1)
    )
    assert wide.input_scales == pytest.approx(2 * tight.input_scales)
    assert wide.output_scales == pytest.approx(2 * tight.output_scales, rel=1e-4)
    reach = samples.abs().amax(0).double().numpy() / tight.input_scales
    assert reach.max() == pytest.approx(127)


def test_scales_of_migration():
    inputs, weights = np.array([1.0, 100.0, 4.0]), np.array([0.5, 0.02, 0.1])
    for part in (0.0, 0.3, 0.75, 1.0):
        scales = migrate(inputs, weights, part, 127)
        wanted = inputs**part / weights ** (1 - part)
        assert scales / scales[0] == pytest.approx(wanted / wanted[0])
        assert (inputs / scales).max() == pytest.approx(127)
    assert migrate(inputs, weights, None, 127) == pytest.approx(np.full(3, 100 / 127))
    assert inputs / migrate(inputs, weights, 1.0, 127) == pytest.approx(np.full(3, 127))
    even = weights * migrate(inputs, weights, 0.0, 127)
    assert even == pytest.approx(np.full(3, 100 * 0.02 / 127))


def test_what_reaches_no_unit_counts_as_one():
    """Zeros on the samples need not stay zeros."""
    ones = np.ones(2)
    reach = np.array([5.0, 1e-9])
    assert migrate(reach, ones, 1.0, 127) * 127 == pytest.approx([5, 5 / 127])
    found = migrate(ones, reach, 0.0, 127)
    assert found[1] / found[0] == pytest.approx(127)
    assert migrate(0 * ones, ones, None, 127) == pytest.approx(ones / 127 / 127)


def test_channels_of_a_convolution_have_scales(seed: int):
    torch.manual_seed(seed)
    layer = nn.Conv2d(3, 5, (2, 3), bias=False)
    samples = torch.randn(4, 3, 6, 5) * torch.tensor([1.0, 3.0, 9.0])[:, None, None]
    with torch.no_grad():
        layer.weight.mul_(torch.tensor([2.0, 1.0, 7.0])[:, None, None])
        results = layer(samples)
    program = compile_linears(layer, samples, CONFIG, migration=0.6, headroom=0)
    inputs, weights, outputs = (
        one.abs().amax((0, 2, 3)).double().numpy()
        for one in (samples, layer.weight.detach(), results)
    )
    (scales,) = program.weights
    assert scales.input_scales == pytest.approx(migrate(inputs, weights, 0.6, 127))
    assert scales.output_scales == pytest.approx(outputs / 127, rel=1e-4)


def test_scales_of_rows_or_of_a_tensor(seed: int):
    network, samples = branches(seed), images(seed)
    for scales, equal in (("row", False), ("tensor", True)):
        program = compile_linears(network, samples, CONFIG, scales=scales)
        for one in program.weights:
            assert (np.ptp(one.scales) == 0) == equal
            assert (np.ptp(one.output_scales) < 1e-12) == equal


def test_bits_are_given_up_only_if_allowed():
    layer, samples = nn.Linear(64, 4), torch.ones(1, 64)
    small = preset("tiny", acc_bits=18)
    compile_linears(layer, samples, small)
    told = refused(layer, samples, small, rescale=False)
    assert "layer linear, row 0: its sum can reach" in told
    assert "rescaling is off" in told


def test_inputs_that_were_always_zero_have_a_scale(seed: int):
    torch.manual_seed(seed)
    layer, samples = nn.Linear(8, 4), torch.randn(20, 8)
    with torch.no_grad():
        samples[:, 3] = 0
        layer.weight[:, 5] = 0
        layer.weight[2] = 0
        layer.bias[2] = 0
    program = compile_linears(layer, samples, CONFIG)
    for scales in (program.input_scale, program.output_scale):
        assert np.isfinite(scales).all()
        assert (scales > 0).all()
    found, wanted = on_golden(layer, program, samples), layer(samples).detach()
    assert float((found - wanted).abs().max()) < 0.1
    assert not on_golden(layer, program, torch.zeros(2, 8))[:, 2].any()
    nothing = compile_linears(nn.Linear(8, 4, bias=False), torch.zeros(1, 8), CONFIG)
    assert not on_golden(nn.Linear(8, 4, bias=False), nothing, torch.zeros(2, 8)).any()


def test_migration_saves_small_inputs_beside_a_large_one(seed: int):
    torch.manual_seed(seed)
    layer, samples = nn.Linear(32, 16), torch.randn(200, 32)
    samples[:, 7] *= 100
    errors = {}
    for migration in (None, 0.75):
        program = compile_linears(layer, samples, CONFIG, migration=migration)
        off = on_golden(layer, program, samples) - layer(samples).detach()
        errors[migration] = float(off.square().mean())
    assert errors[0.75] < errors[None] / 4
