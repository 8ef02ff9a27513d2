"""Changed pictures: what moves, how far, and what does not."""

import math

import pytest
import torch
from torch import Tensor, nn

from sw.compress.augment import distorted, shifted
from tests.sw.compress.networks import tensor

pytestmark = pytest.mark.unit

NOTHING = {"pixels": 0, "degrees": 0, "scale": 0, "shear": 0}
COUNT = 200


def test_shifts_move_whole_pictures_and_fill_with_zeros(rng):
    pictures = tensor(rng, 300, 1, 6, 5).abs() + 0.1
    moved = shifted(pictures, torch.Generator().manual_seed(4), pixels=1)
    padded = nn.functional.pad(pictures, [1, 1, 1, 1])
    found = set()
    for picture, wide in zip(moved, padded, strict=True):
        places = [(y, x) for y in range(3) for x in range(3)]
        fitting = [p for p in places if torch.equal(picture, wide[:, p[0] :, p[1] :][:, :6, :5])]
        assert len(fitting) == 1
        found.update(fitting)
    assert len(found) == 9


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(4)


def dots(*places: tuple[float, float], height: int = 41, width: int = 41) -> Tensor:
    """Equal pictures with soft dots, each so many pixels right and down of the middle."""
    down, right = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    down, right = down - (height - 1) / 2, right - (width - 1) / 2
    picture = sum(torch.exp(-((right - x) ** 2 + (down - y) ** 2) / 4) for x, y in places)
    return torch.as_tensor(picture).expand(COUNT, 1, height, width)


def centers(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Of each picture, right and down of the middle. Float, shape (count,)."""
    height, width = pictures.shape[-2:]
    mass = pictures.sum((1, 2, 3))
    x = (pictures.sum((1, 2)) * (torch.arange(width) - (width - 1) / 2)).sum(1) / mass
    y = (pictures.sum((1, 3)) * (torch.arange(height) - (height - 1) / 2)).sum(1) / mass
    return x, y


def filled(found: Tensor, low: float, high: float) -> bool:
    """Whether values lie within bounds, and use most of what is between."""
    near = (high - low) / 20
    inside = low - near <= float(found.min()) and float(found.max()) <= high + near
    return inside and float(found.max() - found.min()) > 0.9 * (high - low)


def test_nothing_changes_where_nothing_is_asked_for(rng):
    pictures = tensor(rng, 5, 3, 8, 6)
    torch.testing.assert_close(distorted(pictures, generator(), **NOTHING), pictures)


@pytest.mark.parametrize("size", [(41, 41), (31, 51)])
def test_a_shift_is_in_pixels(size):
    pictures = dots((0, 0), height=size[0], width=size[1])
    x, y = centers(distorted(pictures, generator(), **(NOTHING | {"pixels": 3})))
    assert filled(x, -3, 3)
    assert filled(y, -3, 3)
    assert abs(float(torch.corrcoef(torch.stack([x, y]))[0, 1])) < 0.3


@pytest.mark.parametrize("size", [(41, 41), (31, 51)])
def test_a_turn_is_about_the_middle(size):
    pictures = dots((10, 0), height=size[0], width=size[1])
    x, y = centers(distorted(pictures, generator(), **(NOTHING | {"degrees": 30})))
    torch.testing.assert_close(torch.hypot(x, y), torch.full((COUNT,), 10.0), rtol=0, atol=0.1)
    assert filled(torch.atan2(y, x) * 180 / math.pi, -30, 30)


def test_height_and_width_are_stretched_by_themselves():
    changes = NOTHING | {"scale": 0.2}
    wide, _ = centers(distorted(dots((10, 0)), generator(), **changes))
    _, high = centers(distorted(dots((0, 10)), generator(), **changes))
    assert filled(wide / 10, 0.8, 1.2)
    assert filled(high / 10, 0.8, 1.2)
    assert abs(float(torch.corrcoef(torch.stack([wide, high]))[0, 1])) < 0.3


@pytest.mark.parametrize("size", [(41, 41), (31, 51)])
def test_a_shear_moves_rows_by_their_height(size):
    changes = NOTHING | {"shear": 0.3}
    upper = dots((0, -10), height=size[0], width=size[1])
    lower = dots((0, 10), height=size[0], width=size[1])
    (x, y), (other, _) = (centers(distorted(one, generator(), **changes)) for one in (upper, lower))
    assert filled(x / 10, -0.3, 0.3)
    torch.testing.assert_close(x, -other, rtol=0, atol=0.05)
    torch.testing.assert_close(y, torch.full((COUNT,), -10.0), rtol=0, atol=0.05)


@pytest.mark.parametrize("size", [(41, 41), (31, 51)])
def test_a_turn_comes_before_the_stretch(size):
    """Where two dots go are the columns of a turn with its rows stretched: rows are orthogonal."""
    changes = NOTHING | {"degrees": 20, "scale": 0.2}
    places = [(10, 0), (0, 10)]
    (a, b), (c, d) = (
        centers(distorted(dots(one, height=size[0], width=size[1]), generator(), **changes))
        for one in places
    )
    across, down = torch.stack([a, c]) / 10, torch.stack([b, d]) / 10
    assert float((across * down).sum(0).abs().max()) < 0.02
    assert filled(across.norm(dim=0), 0.8, 1.2)
    assert filled(down.norm(dim=0), 0.8, 1.2)


def test_the_same_seed_gives_the_same_pictures(rng):
    pictures = tensor(rng, 20, 1, 9, 9)
    first = distorted(pictures, generator())
    assert torch.equal(first, distorted(pictures, generator()))
    assert not torch.equal(first[0], pictures[0])
