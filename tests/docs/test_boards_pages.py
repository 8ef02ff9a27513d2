"""The pages on boards: the example is the file, and the table is the result file."""

import importlib.util
import json

import pytest

from boards import command, fit
from boards.fit import DESIGNS, table
from sim.bench.useful import sample
from spec import image
from spec.eie.config import preset
from tests.tiers import ROOT

PAGE = (ROOT / "docs" / "boards.md").read_text()
ADD = (ROOT / "docs" / "add_a_board.md").read_text()
EXAMPLE = ROOT / "docs" / "examples" / "ecpix5.py"


@pytest.mark.unit
def test_the_page_shows_the_whole_example():
    text = EXAMPLE.read_text()
    assert f"```python\n{text}```" in ADD
    assert len(text.splitlines()) <= 40


@pytest.mark.unit
def test_the_page_shows_what_was_measured():
    document = json.loads((ROOT / fit.FILE).read_text())
    assert fit.section(document) in PAGE
    assert set(document["designs"]) <= set(DESIGNS)
    assert table(document).count("\n") == len(document["designs"]) + 1


@pytest.mark.unit
def test_the_page_names_every_board():
    modules = {design.board.name for design in DESIGNS.values()} | {"orangecrab", "arty"}
    assert [name for name in modules if f"`boards.{name}`" not in PAGE] == []


@pytest.mark.board
def test_a_board_of_ones_own_runs(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("ecpix5", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    image.write(sample(preset("tiny")).program, tmp_path / "net.skip")
    files = ["run", str(tmp_path / "net.skip"), "--virtual", "--json", "--limit", "1"]
    assert command.main(module.BOARD, files) == 0
    assert json.loads(capsys.readouterr().out)["compare"]["equal"]
