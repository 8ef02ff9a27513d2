"""Files are written whole or not at all."""

import os
import stat

import numpy as np
import pytest

from spec.errors import UserError
from spec.files import read_array, read_file, write_file

pytestmark = pytest.mark.unit


def test_a_file_is_written_and_read(tmp_path):
    path = write_file(tmp_path / "a.bin", b"old")
    assert read_file(path) == b"old"
    write_file(str(path), b"new")
    assert read_file(str(path)) == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]


def test_others_may_read_it_as_usual(tmp_path):
    usual = tmp_path / "usual"
    usual.write_bytes(b"")
    ours = write_file(tmp_path / "ours", b"")
    assert stat.S_IMODE(ours.stat().st_mode) == stat.S_IMODE(usual.stat().st_mode)


@pytest.mark.parametrize("folder", ["none", "file"])
def test_a_folder_that_cannot_be_written_is_refused(tmp_path, folder):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match=f"cannot write .*{folder}/a.bin: "):
        write_file(tmp_path / folder / "a.bin", b"x")


def test_a_folder_in_its_place_is_left_alone(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(UserError, match="cannot write"):
        write_file(tmp_path / "a", b"x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = write_file(tmp_path / "a.bin", b"old")

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match="No space left on device"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("name", ["none.bin", "."])
def test_what_cannot_be_read_is_refused(tmp_path, name):
    with pytest.raises(UserError, match="cannot read .*: "):
        read_file(tmp_path / name)


def test_a_link_is_followed(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_file(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"new"


def test_what_is_no_file_is_left_alone(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="is there already and is no file"):
        write_file(tmp_path / "pipe", b"x")
    assert (tmp_path / "pipe").is_fifo()


def test_arrays(tmp_path):
    """One array is read; everything else is refused in one line."""
    np.save(tmp_path / "x.npy", np.arange(6.0).reshape(2, 3))
    np.testing.assert_array_equal(read_array(tmp_path / "x.npy"), np.arange(6.0).reshape(2, 3))
    np.savez(tmp_path / "x.npz", np.ones(3))
    np.save(tmp_path / "objects.npy", np.array([{}]), allow_pickle=True)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-5])
    (tmp_path / "junk.npy").write_bytes(b"junk")
    (tmp_path / "zip.npy").write_bytes(b"PK\x03\x04 cut")
    whole = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "tokens.npy").write_bytes(whole.replace(b"(2, 3), }", b"(2, 3 , (", 1))
    (tmp_path / "huge.npy").write_bytes(
        whole.replace(b"3), }" + b" " * 13, b"3" + b"0" * 14 + b"), }")
    )
    for name, message in {
        "x.npz": "holds several arrays",
        "objects.npy": "objects.npy: not a .npy file of numbers",
        "cut.npy": "or a truncated one",
        "junk.npy": "not a .npy file",
        "zip.npy": "zip.npy: not a .npy file",
        "tokens.npy": "not a .npy file",
        "huge.npy": "not a .npy file",
        "missing.npy": "cannot read .*missing.npy",
        ".": "cannot read",
    }.items():
        with pytest.raises(UserError, match=message) as caught:
            read_array(tmp_path / name)
        assert "\n" not in str(caught.value)
