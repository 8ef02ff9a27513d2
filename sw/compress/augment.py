"""Pictures to train on, changed a little each time, so that a network has more to learn from."""

import math

import torch
from torch import Tensor, nn


def shifted(images: Tensor, generator: torch.Generator, pixels: int = 2) -> Tensor:
    """Each picture moved by its own random step of up to ``pixels``; zeros come in from outside.

    Parameters
    ----------
    images : Tensor
        Shape (count, channels, height, width).
    pixels : int
        Largest step, down or up as well as right or left.
    """
    count, _, height, width = images.shape
    windows = nn.functional.pad(images, [pixels] * 4)
    windows = windows.unfold(2, height, 1).unfold(3, width, 1)
    down, right = torch.randint(2 * pixels + 1, (2, count), generator=generator)
    return windows[torch.arange(count), :, down, right]


def distorted(
    images: Tensor,
    generator: torch.Generator,
    pixels: float = 1.0,
    degrees: float = 8.0,
    scale: float = 0.1,
    shear: float = 0.1,
) -> Tensor:
    """Each picture shifted, turned, stretched and sheared by its own random amounts, as
    handwriting is (Simard et al., 2003); zeros come in from outside.

    Pixels are interpolated. Turn and shear are added, not one applied after the other: that makes a
    difference of the order of their product.

    Parameters
    ----------
    images : Tensor
        Shape (count, channels, height, width).
    pixels : float
        Largest shift, down or up as well as right or left, before all else.
    degrees : float
        Largest turn, either way.
    scale : float
        Largest change of the height, and of the width, as a share of it; less than 1.
    shear : float
        Largest shear, as a share: how far the upper edge moves against the middle, per half a
        height.
    """
    count, _, height, width = images.shape

    def amounts(most: float) -> Tensor:
        return most * (2 * torch.rand(count, generator=generator) - 1)

    turn = amounts(math.radians(degrees))
    stretched_x, stretched_y = 1 + amounts(scale), 1 + amounts(scale)
    # From a place in the new picture to its place in the old one. Edges are at -1 and 1, so what
    # goes over from one direction to the other is scaled by the sides.
    x = [
        turn.cos() / stretched_x,
        (amounts(shear) - turn.sin()) / stretched_y * height / width,
        amounts(2 * pixels / width),
    ]
    y = [
        turn.sin() / stretched_x * width / height,
        turn.cos() / stretched_y,
        amounts(2 * pixels / height),
    ]
    places = torch.stack([torch.stack(x, 1), torch.stack(y, 1)], 1)
    grid = nn.functional.affine_grid(places, list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images, grid, align_corners=False)
