"""Windows of images, against PyTorch's."""

import numpy as np
import pytest
import torch

from spec.errors import UserError
from spec.nm.unfold import MaxPool, Unfold

pytestmark = pytest.mark.unit


def test_equals_pytorch(rng):
    for _ in range(30):
        kernel, stride, dilation = (tuple(rng.integers(1, 4, 2).tolist()) for _ in range(3))
        padding = tuple(rng.integers(0, 3, 2).tolist())
        height, width = (int(one) for one in rng.integers(7, 12, 2))
        pairs = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
        unfold = Unfold(channels=3, height=height, width=width, **pairs)
        images = rng.integers(-9, 9, (2, 3, height, width))
        pairs["kernel_size"] = pairs.pop("kernel")
        theirs = torch.nn.functional.unfold(torch.from_numpy(images).double(), **pairs)
        assert theirs.shape[1:] == (unfold.inputs, unfold.tokens)
        found = unfold.unfold(images.reshape(2, -1))
        assert np.array_equal(found, theirs.swapaxes(1, 2).reshape(-1, unfold.inputs).numpy())


def test_channels_last(rng):
    sizes = {"channels": 3, "height": 5, "width": 6, "kernel": (2, 3), "padding": (1, 0)}
    first, last = Unfold(**sizes), Unfold(**sizes, channels_last=True)
    images, weight = rng.integers(-9, 9, (2, 90)), rng.integers(-9, 9, (4, 3, 2, 3))
    sums = first.unfold(images) @ first.arrange(weight).T
    assert np.array_equal(last.unfold(images) @ last.arrange(weight).T, sums)
    # All channels of a place stand together.
    assert np.array_equal(last.arrange(weight)[:, :3], weight[:, :, 0, 0])


def test_pooling_equals_pytorch(rng):
    for _ in range(20):
        kernel, stride = (tuple(rng.integers(1, 4, 2).tolist()) for _ in range(2))
        padding = tuple(int(rng.integers(size // 2 + 1)) for size in kernel)
        pool = MaxPool(channels=3, height=7, width=9, kernel=kernel, stride=stride, padding=padding)
        images = rng.integers(-9, 0, (2, 3, 7, 9))
        theirs = torch.nn.functional.max_pool2d(torch.from_numpy(images), kernel, stride, padding)
        assert np.array_equal(pool(images.reshape(2, -1)), theirs.reshape(2, -1).numpy())


def test_results_become_images():
    unfold = Unfold(channels=1, height=2, width=3, kernel=(1, 1))
    results = np.arange(24).reshape(12, 2)
    assert unfold.fold(results)[0].tolist() == [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11]


def test_windows_that_do_not_fit():
    with pytest.raises(UserError, match="no window fits"):
        Unfold(channels=1, height=2, width=2, kernel=(3, 3))
    with pytest.raises(UserError, match="no window fits"):
        Unfold(channels=1, height=2, width=2, kernel=(1, 1), stride=(0, 1))
