import gzip

import numpy as np
import pytest
import torch

from spec.errors import UserError
from sw.compress.data import digits, idx_folder

pytestmark = pytest.mark.unit

DASH = ("-images-idx3-ubyte", "-labels-idx1-ubyte")
DOT = ("-images.idx3-ubyte", "-labels.idx1-ubyte")


def idx(array: np.ndarray) -> bytes:
    """An IDX file, written from its published description."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


@pytest.fixture
def arrays(rng):
    return {
        "train-images": rng.integers(256, size=(20, 6, 5)),
        "train-labels": np.arange(20) % 4,
        "t10k-images": rng.integers(256, size=(8, 6, 5)),
        "t10k-labels": np.arange(8) % 4,
    }


def write(folder, arrays, spelling=DASH, suffix=""):
    for part in ("train", "t10k"):
        for kind, ending in zip(("images", "labels"), spelling, strict=True):
            data = idx(arrays[f"{part}-{kind}"])
            file = folder / f"{part}{ending}{suffix}"
            file.write_bytes(gzip.compress(data) if suffix else data)


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("spelling", [DASH, DOT])
def test_reads_idx_files(tmp_path, arrays, spelling, suffix):
    write(tmp_path, arrays, spelling, suffix)
    data = idx_folder(tmp_path)
    assert data.name == tmp_path.name
    assert (data.pixels, data.classes) == (30, 4)
    assert data.train_images.shape == (20, 1, 6, 5)
    assert data.train_images.dtype == torch.float32
    assert data.train_labels.dtype == torch.int64
    expected = torch.from_numpy(arrays["t10k-images"]).float() / 255
    assert torch.equal(data.test_images, expected.unsqueeze(1))
    assert data.test_labels.tolist() == arrays["t10k-labels"].tolist()
    assert 0 <= float(data.train_images.min()) <= float(data.train_images.max()) <= 1


def test_refuses_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(UserError, match="no folder .*nowhere"):
        idx_folder(tmp_path / "nowhere")


@pytest.mark.parametrize("part", ["train", "t10k"])
@pytest.mark.parametrize("kind", [0, 1])
def test_refuses_a_missing_file_and_says_its_names(tmp_path, arrays, part, kind):
    write(tmp_path, arrays)
    (tmp_path / (part + DASH[kind])).unlink()
    with pytest.raises(UserError, match=f"expected {part}{DASH[kind]} or {part}{DOT[kind]}"):
        idx_folder(tmp_path)


def test_refuses_a_truncated_file(tmp_path, arrays):
    write(tmp_path, arrays)
    file = tmp_path / ("train" + DASH[0])
    whole = file.read_bytes()
    for length in (len(whole) - 1, 100, 16, 15, 4):
        file.write_bytes(whole[:length])
        with pytest.raises(
            UserError, match=f"train-images-idx3-ubyte is truncated: {length} bytes"
        ):
            idx_folder(tmp_path)
    file.write_bytes(whole + b"\0")
    with pytest.raises(UserError, match="is too long: 617 bytes, 20x6x5 values need 616"):
        idx_folder(tmp_path)


def test_refuses_a_broken_gzip_file(tmp_path, arrays):
    write(tmp_path, arrays, suffix=".gz")
    file = tmp_path / ("t10k" + DASH[1] + ".gz")
    whole = file.read_bytes()
    for broken in (whole[:-3], whole[:12], b"plain", whole[:10] + b"\xff" * 20):
        file.write_bytes(broken)
        with pytest.raises(UserError, match="t10k-labels-idx1-ubyte.gz is no complete gzip file"):
            idx_folder(tmp_path)


@pytest.mark.parametrize("start", [b"", b"PK\3\4", bytes([0, 0, 13, 3]), bytes([0, 0, 8, 1])])
def test_refuses_another_kind_of_file(tmp_path, arrays, start):
    write(tmp_path, arrays)
    (tmp_path / ("train" + DASH[0])).write_bytes(start + bytes(60) * bool(start))
    with pytest.raises(UserError, match=r"starts with .*, expected 00000803 \(IDX\)"):
        idx_folder(tmp_path)


def test_refuses_files_that_do_not_fit_together(tmp_path, arrays):
    write(tmp_path, {**arrays, "train-labels": np.zeros(19)})
    with pytest.raises(UserError, match="has 20 pictures, but .* has 19 labels"):
        idx_folder(tmp_path)
    write(tmp_path, {**arrays, "t10k-images": np.zeros((8, 7, 5))})
    with pytest.raises(UserError, match="to train on are 6x5 pixels, those to test with 7x5"):
        idx_folder(tmp_path)
    write(tmp_path, {**arrays, "t10k-labels": np.full(8, 9)})
    with pytest.raises(UserError, match="class 9 is tested but never trained"):
        idx_folder(tmp_path)
    write(tmp_path, {**arrays, "train-images": np.zeros((0, 6, 5)), "train-labels": np.zeros(0)})
    with pytest.raises(UserError, match="has no pictures in it"):
        idx_folder(tmp_path)


def test_embedded_digits_are_split_evenly_and_without_overlap():
    data = digits()
    assert data.train_images.shape == (4000, 1, 28, 28)
    assert data.test_images.shape == (1000, 1, 28, 28)
    assert data.train_labels.bincount().tolist() == [400] * 10
    assert data.test_labels.bincount().tolist() == [100] * 10
    assert data.train_images.dtype == torch.float32
    assert float(data.train_images.min()) == 0
    assert float(data.train_images.max()) == 1
    pictures = torch.cat([data.train_images, data.test_images]).flatten(1)
    assert len({picture.numpy().tobytes() for picture in pictures}) == 5000
