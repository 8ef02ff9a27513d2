"""What the experiments of compression have in common: the data, the training, the error."""

import torch
from torch import Tensor, nn

from sw.compress.augment import distorted, shifted
from sw.compress.data import Dataset, idx_folder
from sw.compress.fetch import dataset_folder
from sw.compress.train import Keep, Training, accuracy, fit


def mnist_like(name: str) -> Dataset:
    """``mnist`` or ``fashion``, as ``make data`` leaves it."""
    return idx_folder(dataset_folder(name))


def train(
    model: nn.Module,
    data: Dataset,
    training: Training,
    seed: int,
    title: str,
    keep: Keep | None = None,
    teacher: nn.Module | None = None,
) -> None:
    """In place. Handwriting is distorted; clothes, which stand straight, move by up to a pixel."""
    fit(
        model,
        data.train_images,
        data.train_labels,
        training,
        seed=seed,
        keep=keep,
        teacher=teacher,
        augment=distorted if data.name == "mnist" else _shifted_by_one,
        title=title,
    )


def _shifted_by_one(images: Tensor, generator: torch.Generator) -> Tensor:
    return shifted(images, generator, 1)


def error(model: nn.Module, data: Dataset) -> float:
    """Of the pictures to test with, in percent."""
    return 100 - 100 * accuracy(model, data.test_images, data.test_labels)
