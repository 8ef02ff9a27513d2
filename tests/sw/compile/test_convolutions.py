"""Convolutions and what stands around them, against torch in float64."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spec.errors import UserError
from sw.compile import network as networks
from sw.compile.capture import capture
from tests.sw.compile.images import only, random_convolution, run_layers, run_torch, settle
from tests.sw.compile.networks import dense, export
from tests.sw.compile.test_graph import Network

pytestmark = pytest.mark.unit


def check(module: nn.Module, rng, shape: tuple[int, ...], count: int = 3):
    """Capture a module and hold it against torch, also as it runs the original itself."""
    settle(module, rng)
    samples = rng.normal(size=(count, *shape))
    network = capture(module, samples)
    wanted = run_torch(module, samples)
    np.testing.assert_allclose(run_layers(network, samples), wanted, atol=1e-5)
    assert network.run
    np.testing.assert_allclose(network.run(samples.reshape(count, -1)), wanted, atol=1e-3)
    return dense(network)


@pytest.mark.parametrize("number", range(12))
def test_any_convolution(rng, number):
    layer, shape = random_convolution(rng)
    (captured,) = check(layer, rng, shape)
    each = layer.in_channels // layer.groups * int(np.prod(layer.kernel_size))
    assert (np.count_nonzero(captured.weight, axis=1) == each).all()


@pytest.mark.parametrize("number", range(6))
def test_any_convolution_pooled_and_followed(rng, number):
    first, shape = random_convolution(rng)
    made = first(torch.zeros(1, *shape)).shape
    kernel = [int(rng.integers(1, min(3, size) + 1)) for size in made[2:]]
    pool = nn.MaxPool2d(kernel, padding=[size // 2 for size in kernel])
    parts = [first, nn.BatchNorm2d(first.out_channels), pool, nn.ReLU()]
    left = nn.Sequential(*parts[2:])(torch.zeros(made)).numel()
    layers = check(nn.Sequential(*parts, nn.Flatten(), nn.Linear(left, 4)), rng, shape)
    assert [layer.relu for layer in layers] == [True, False]


@pytest.mark.parametrize("kernel", [1, 2, 3, (4, 1), (3, 2)])
@pytest.mark.parametrize("groups", [1, 2])
def test_padding_by_name(rng, kernel, groups):
    for padding in ("same", "valid"):
        layer = nn.Conv2d(4, 6, kernel, padding=padding, groups=groups)
        check(layer, rng, (4, 7, 6))
    check(nn.Conv2d(2, 3, 3, padding="same", dilation=(2, 3)), rng, (2, 9, 9))


FORMS = {
    "functional": lambda m, x: F.conv2d(x, m.weight, m.bias, stride=2, padding=1),
    "without bias": lambda m, x: F.conv2d(x, m.weight, groups=1, dilation=(1, 2)),
    "method": lambda m, x: F.max_pool2d(F.conv2d(x, m.weight).relu(), 2, stride=1),
    "pooled twice as wide": lambda m, x: F.max_pool2d(
        F.conv2d(x, m.weight), (1, 2), padding=(0, 1)
    ),
    "dilated pool": lambda m, x: F.max_pool2d(F.conv2d(x, m.weight), 2, dilation=2),
    "view": lambda m, x: F.conv2d(x.view(-1, 4, 6, 6), m.weight).relu().flatten(1),
    "unflatten": lambda m, x: F.conv2d(x.flatten(1).unflatten(1, (4, 6, 6)), m.weight),
    "dropouts": lambda m, x: F.dropout2d(F.conv2d(x, m.weight), training=m.training),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(rng, form):
    module = Network(FORMS[form])
    module.weight = nn.Parameter(torch.from_numpy(rng.normal(size=(5, 4, 3, 3))))
    module.bias = nn.Parameter(torch.from_numpy(rng.normal(size=5)))
    check(module, rng, (4, 6, 6))


def test_ceil_mode_that_changes_nothing(rng):
    pool = nn.MaxPool2d(2, ceil_mode=True)
    assert check(nn.Sequential(nn.Conv2d(1, 2, 3), pool), rng, (1, 6, 6))[0].pool


def test_an_exported_program_with_any_number_of_samples(rng):
    module = settle(nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten()), rng)
    many = torch.export.Dim("many", min=1, max=64)
    program = export(module, 2, 2, 5, 5, dynamic_shapes=({0: many},))
    samples = rng.normal(size=(3, 2, 5, 5))
    network = capture(program)
    wanted = run_torch(module, samples)
    np.testing.assert_allclose(run_layers(network, samples), wanted, atol=1e-5)
    np.testing.assert_allclose(network.run(samples.reshape(3, -1)), wanted, atol=1e-4)


def test_images_are_run_a_few_at_a_time(rng, monkeypatch):
    layers = [nn.Conv2d(2, 4, 3, padding=1), nn.MaxPool2d(2)]
    module = settle(nn.Sequential(*layers), rng)
    samples = rng.normal(size=(7, 2, 6, 6))
    network = capture(module, samples)
    whole = run_layers(network, samples)
    monkeypatch.setattr(networks, "MOST_VALUES", 2 * 36 * (18 + 4))
    np.testing.assert_array_equal(run_layers(network, samples), whole)


# BatchNorm ------------------------------------------------------------------------------------


def test_batch_norm_behind_a_convolution(rng):
    for padding in (0, 1):
        parts = [nn.Conv2d(3, 4, 3, padding=padding, bias=False), nn.BatchNorm2d(4), nn.ReLU()]
        layers = check(nn.Sequential(*parts), rng, (3, 5, 5))
        assert layers[0].folded == ("1",)
    parts = [nn.Conv2d(3, 4, 3), nn.Flatten(), nn.BatchNorm1d(36, affine=False)]
    settled = settle(nn.Sequential(*parts), rng)
    settled[2].running_mean.data = torch.arange(4.0).repeat_interleave(9)
    settled[2].running_var.data = torch.arange(1.0, 5).repeat_interleave(9)
    samples = rng.normal(size=(2, 3, 5, 5))
    network = capture(settled, samples)
    np.testing.assert_allclose(run_layers(network, samples), run_torch(settled, samples), atol=1e-5)
    assert only(network).folded == ("2",)


def test_batch_norm_in_front_of_a_convolution(rng):
    parts = [nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, groups=2)]
    assert check(nn.Sequential(*parts), rng, (4, 5, 5))[0].folded == ("0",)
    twice = [nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.Conv2d(4, 6, 1)]
    assert check(nn.Sequential(*twice), rng, (4, 5, 5))[0].folded == ("0, 1",)
    # What only scales leaves the zeros of the padding as they are.
    only_scales = settle(nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, padding=1)), rng)
    only_scales[0].running_mean.zero_()
    only_scales[0].bias.data.zero_()
    samples = rng.normal(size=(2, 4, 5, 5))
    network = capture(only_scales, samples)
    np.testing.assert_allclose(
        run_layers(network, samples), run_torch(only_scales, samples), atol=1e-5
    )


def test_batch_norm_of_channels_in_front_of_a_linear(rng):
    parts = [nn.Conv2d(2, 3, 2), nn.ReLU(), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(27, 4)]
    assert [layer.folded for layer in check(nn.Sequential(*parts), rng, (2, 4, 4))] == [(), ("2",)]


def test_batch_norms_of_channels_and_of_features_together(rng):
    parts = [nn.Conv2d(2, 3, 2), nn.ReLU(), nn.BatchNorm2d(3), nn.Flatten(), nn.BatchNorm1d(27)]
    layers = check(nn.Sequential(*parts, nn.Linear(27, 4)), rng, (2, 4, 4))
    assert [layer.folded for layer in layers] == [(), ("2, 4",)]


def test_batch_norm_of_an_image_made_of_a_linear(rng):
    parts = [nn.Linear(6, 12), nn.Unflatten(1, (3, 2, 2)), nn.BatchNorm2d(3), nn.Conv2d(3, 2, 2)]
    layers = check(nn.Sequential(*parts), rng, (6,))
    assert [layer.folded for layer in layers] == [("2",), ()]


@pytest.mark.parametrize("sign", [1, -1])
def test_batch_norm_behind_a_pooling(rng, sign):
    """The largest of a window stays the largest only if the factor is not negative."""
    parts = [nn.Conv2d(2, 3, 3), nn.MaxPool2d(2), nn.BatchNorm2d(3), nn.Conv2d(3, 4, 2)]
    module = settle(nn.Sequential(*parts), rng)
    module[2].weight.data = sign * module[2].weight.data.abs()
    samples = rng.normal(size=(3, 2, 8, 8))
    network = capture(module, samples)
    np.testing.assert_allclose(run_layers(network, samples), run_torch(module, samples), atol=1e-5)
    assert [bool(layer.folded) for layer in dense(network)] == [sign > 0, sign < 0]


def test_batch_norm_in_front_of_a_pooling(rng):
    parts = [nn.Conv2d(2, 3, 3), nn.ReLU(), nn.BatchNorm2d(3), nn.MaxPool2d(2), nn.Conv2d(3, 4, 2)]
    module = settle(nn.Sequential(*parts), rng)
    module[2].weight.data.abs_()
    samples = rng.normal(size=(3, 2, 8, 8))
    network = capture(module, samples)
    np.testing.assert_allclose(run_layers(network, samples), run_torch(module, samples), atol=1e-5)
    module[2].weight.data[1] = -1
    with pytest.raises(UserError, match=r"layer 2: a BatchNorm folds .* layer 3 \(aten.max_pool2d"):
        capture(module, samples)


# Refusals -------------------------------------------------------------------------------------


def conv(channels: int = 3, outputs: int = 4, kernel: int = 3, **options) -> nn.Conv2d:
    return nn.Conv2d(channels, outputs, kernel, **options)


REFUSED = {
    "circular": (conv(padding=1, padding_mode="circular"), "zeros only, not 'circular': train wi"),
    "reflect": (conv(padding=1, padding_mode="reflect"), "zeros only, not 'reflect'"),
    "replicate": (conv(padding=1, padding_mode="replicate"), "zeros only, not 'replicate'"),
    "zeros apart": (
        nn.Sequential(nn.ZeroPad2d(1), conv()),
        "layer 0: aten.pad.default is not supported; give the zeros to the Conv2d behind it",
    ),
    "transposed": (
        nn.ConvTranspose2d(3, 4, 3),
        "aten.conv_transpose2d.input is not supported; .* networks of their own",
    ),
    "Conv1d": (
        nn.Sequential(nn.Flatten(2), nn.Conv1d(3, 4, 3)),
        r"layer 1: aten.conv1d.default is not supported; a Conv2d with a kernel of one row",
    ),
    "Conv1d padded by name": (
        nn.Sequential(nn.Flatten(2), nn.Conv1d(3, 4, 3, padding="same")),
        "aten.conv1d.padding is not supported; a Conv2d",
    ),
    "Conv3d": (
        nn.Sequential(nn.Unflatten(1, (1, 3)), nn.Conv3d(1, 4, 3)),
        "layer 1: aten.conv3d.default is not supported; a kernel as deep as its input",
    ),
    "average": (
        nn.Sequential(conv(), nn.AvgPool2d(2)),
        r"average is a Conv2d\(4, 4, \(2, 2\), groups=4, bias=False\)",
    ),
    "average of all": (
        nn.Sequential(conv(), nn.AdaptiveAvgPool2d(1)),
        r"average is a Conv2d\(4, 4, \(6, 6\), groups=4, bias=False\)",
    ),
    "mean": (
        Network(lambda m, x: m.a(x).mean((2, 3)), a=conv()),
        r"aten.mean.dim is not supported; an average is a Conv2d\(4, 4, \(6, 6\)",
    ),
    "largest of some": (
        nn.Sequential(conv(), nn.AdaptiveMaxPool2d(2)),
        "aten.adaptive_max_pool2d.default is not supported; use MaxPool2d with a kernel in numbers",
    ),
    "largest and where": (
        Network(lambda m, x: F.max_pool2d_with_indices(m.a(x), 2)[0], a=conv()),
        "use MaxPool2d without return_indices",
    ),
    "pooling first": (nn.Sequential(nn.MaxPool2d(2), conv()), "layer 0: a MaxPool2d must stand be"),
    "pooling behind a Linear": (
        nn.Sequential(
            nn.Flatten(), nn.Linear(192, 16), nn.Unflatten(1, (1, 4, 4)), nn.MaxPool2d(2)
        ),
        "layer 3: a MaxPool2d must stand behind a Conv2d",
    ),
    "two poolings": (
        nn.Sequential(conv(), nn.MaxPool2d(2), nn.MaxPool2d(2)),
        "layer 2: a MaxPool2d of other than what the Conv2d 0 gives",
    ),
    "other images": (
        nn.Sequential(conv(), nn.Flatten(), nn.Unflatten(1, (1, 12, 12)), nn.MaxPool2d(2)),
        "layer 3: a MaxPool2d of other than what the Conv2d 0 gives",
    ),
    "half windows": (
        nn.Sequential(conv(), nn.MaxPool2d(4, ceil_mode=True)),
        r"layer 1: ceil_mode makes windows .*, \(2, 2\) instead of \(1, 1\)",
    ),
    "same of an even dilated kernel": (
        conv(kernel=2, padding="same", dilation=3),
        "padding='same' of an even kernel with a dilation of 3 is not the same on both sides",
    ),
    "BatchNorm in front of padding": (
        nn.Sequential(nn.BatchNorm2d(3), conv(padding=1)),
        "layer 0: a BatchNorm in front of the Conv2d 1, whose padding of zeros",
    ),
    "BatchNorm of features in front": (
        nn.Sequential(nn.Flatten(), nn.BatchNorm1d(192), nn.Unflatten(1, (3, 8, 8)), conv()),
        "layer 1: a BatchNorm in front of the Conv2d 3 must have one factor for each",
    ),
    "Linear on images": (
        nn.Sequential(conv(), nn.Linear(6, 2)),
        "layer 1: a Linear along the last of 4 dimensions",
    ),
    "other norms": (
        nn.Sequential(conv(), nn.GroupNorm(2, 4)),
        "aten.group_norm.default .* only BatchNorm folds",
    ),
    "upsampling": (
        nn.Sequential(conv(), nn.Upsample(scale_factor=2)),
        "aten.upsample_nearest2d.vec .* the hos",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(rng, case):
    module, message = REFUSED[case]
    with pytest.raises(UserError, match=message) as caught:
        capture(settle(module, rng), np.ones((2, 3, 8, 8)))
    assert "\n" not in str(caught.value)


def test_images_without_samples_or_of_any_size():
    with pytest.raises(UserError, match="a Conv2d on 3 dimensions is not supported"):
        capture(conv(2), np.ones((2, 8, 8)))
    size = torch.export.Dim("size", min=4, max=64)
    program = export(conv(), 2, 3, 8, 8, dynamic_shapes=({3: size},))
    with pytest.raises(UserError, match=r"images of shape .*; only the number of samples may be"):
        capture(program)


def test_a_convolution_beside_an_lstm():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.lstm = nn.Conv2d(4, 4, 1), nn.LSTM(6, 3, batch_first=True)

        def forward(self, x):
            return self.lstm(self.conv(x).flatten(2))[0]

    with pytest.raises(UserError, match="layer conv: aten.conv2d.default is not supported; the"):
        capture(Both(), np.ones((2, 4, 2, 3)))
