"""Pages are what the results make of them; plots are the same each time."""

import json
import shutil
from pathlib import Path

import pytest

from sim.bench import compare, compare_page, compare_plot, eie_page, nm_page, pages
from sim.bench.__main__ import main
from sim.bench.designs import EIE
from spec.errors import UserError
from tests.tiers import ROOT

pytestmark = pytest.mark.unit

RESULTS, DOCS = ROOT / "results", ROOT / "docs"

PLOTS = {
    "eie_layers": (eie_page.plot, eie_page.PLOT, "isca16"),
    "nm_compare": (compare_plot.plot, compare_page.PLOT, "block-sparse"),
}
"""Results, what draws them, into which file, and a word in it."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the results and of the pages that are made in part, to write into."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(RESULTS, "results")
    Path("docs/compress").mkdir(parents=True)
    for name in (pages.NM, pages.TRANSFORMER):
        shutil.copy(DOCS / name, "docs")
    return tmp_path


TEXTS = (pages.NINE_LAYERS, pages.COMPARE, pages.NM, pages.TRANSFORMER, pages.COMPRESSION)


@pytest.mark.parametrize("name", TEXTS)
def test_pages_are_made_from_the_results(name: str) -> None:
    assert (DOCS / name).read_text() == pages.texts(RESULTS, DOCS)[name]


def test_what_the_comparison_says_in_words_holds() -> None:
    document = json.loads((RESULTS / "nm_compare.json").read_text())
    assert [one["name"] for one in document["tvw"]["rows"]] == [
        one["name"] for one in document["subjects"]
    ]
    relu, full = (document["tvw"]["bert_geomean"][kind] for kind in ("relu", "full"))
    one_each, lanes = (f"unstructured-75/{machine}" for machine in EIE)
    for means in (relu, full):
        assert document["target"] < means["dense"] < 4
        assert means["block-75"] == pytest.approx(1, abs=0.02)
    assert relu[one_each] < 0.5 < 0.9 < relu[lanes] < full[one_each]
    for subject in document["subjects"]:
        told = {key: one for key, one in subject["designs"].items() if "refused" not in one}
        assert told["2:4"]["error"] < told["1:4"]["error"] < told["tvw-75"]["error"]
        assert told["tvw-75"]["error"] < min(told[key]["error"] for key in ("tile-75", "block-75"))
        assert told["1:4"]["bits"] < told["tvw-75"]["bits"]
        if one_each in told:
            assert told[one_each]["error"] < told["1:4"]["error"]
        if subject.get("tokens") == 1:
            assert told[one_each]["speedup"] > 10 * told["tvw-75"]["speedup"]
            # What the load stream brings is what it takes.
            bits = told["dense"]["bits"] / told["tvw-75"]["bits"]
            assert told["tvw-75"]["speedup"] == pytest.approx(bits, rel=0.02)
    assert tuple(dict.fromkeys(one["name"] for one in document["subjects"])) == compare.STANDARD


@pytest.mark.parametrize("name", PLOTS)
def test_plots_are_the_same_each_time(name: str) -> None:
    pytest.importorskip("matplotlib")
    draw, file, word = PLOTS[name]
    document = json.loads((RESULTS / f"{name}.json").read_text())
    plot = draw(document)
    assert plot == draw(document)
    assert word.encode() in plot
    assert (DOCS / file).is_file()


def test_all_are_written_and_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    main(["page"])
    docs = folder / "docs"
    told = [str(Path(line).relative_to(docs)) for line in capsys.readouterr().out.split()]
    files = {*TEXTS, eie_page.PLOT, compare_page.PLOT}
    assert sorted(told) == sorted(files)
    assert {str(one.relative_to(docs)) for one in docs.rglob("*") if one.is_file()} == files
    for name in TEXTS:
        assert (folder / "docs" / name).read_text() == (DOCS / name).read_text()


def test_what_is_said_of_compression_holds() -> None:
    document = json.loads((RESULTS / "compress_minilm.json").read_text())
    regression, permuted = document["methods"]
    magnitude = document["magnitude"]
    assert regression["share_of_loss"] < 0.5
    assert permuted["share_of_loss"] < 1 / 3
    assert regression["pearson"]["mean"] > document["dense"] - 0.02 > magnitude["pearson"]
    assert permuted["cosine"] > regression["cosine"] > magnitude["cosine"]["mean"]
    assert permuted["pearson"]["mean"] < regression["pearson"]["mean"]
    closed = json.loads((RESULTS / "compress_permutation.json").read_text())["published"]
    assert closed["closed_of_rows"] > 0.355


def test_other_results_make_other_pages(folder: Path) -> None:
    before = pages.texts(Path("results"), Path("docs"))
    for name in ("nm_layers", "nm_compare"):
        file = Path("results") / f"{name}.json"
        file.write_text(file.read_text().replace('"cycles": 1', '"cycles": 2'))
    after = pages.texts(Path("results"), Path("docs"))
    assert {name for name in after if after[name] != before[name]} == {pages.COMPARE, pages.NM}


def test_a_section_is_put_in_place() -> None:
    begin, end = nm_page.BEGIN, nm_page.END
    page = f"before\n{begin}old\n{end}behind\n"
    assert nm_page.put(page, "new\n") == f"before\n{begin}new\n{end}behind\n"
    for broken in ("before\n", f"{begin}old\n", f"{end}{begin}"):
        with pytest.raises(UserError, match="the page has no place for what was measured"):
            nm_page.put(broken, "new\n")


def test_missing_results_are_told_with_the_command(folder: Path) -> None:
    file = Path("results/nm_compare.json")
    file.write_text("{")
    with pytest.raises(UserError, match="nm_compare.json is no JSON; write it with python -m sim"):
        main(["page"])
    file.unlink()
    with pytest.raises(UserError, match="nm_compare.json is not there; .*python -m sim.bench comp"):
        main(["page"])
