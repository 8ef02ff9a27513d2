"""Figures on the pages are those of the files under results/."""

import json

import pytest

from hw.measure.compare import table as fit_table
from hw.measure.nm import COMPARISONS
from sim.demo import table
from tests.tiers import ROOT

pytestmark = pytest.mark.unit


def test_the_readme_shows_the_demos_table():
    figures = json.loads((ROOT / "results" / "demo.json").read_text())
    readme = (ROOT / "README.md").read_text().splitlines()
    rows = [line for line in table(figures).splitlines() if line][:-1]
    assert [f"    {row}" for row in rows if f"    {row}" not in readme] == []


def test_the_readme_states_what_was_measured():
    means = json.loads((ROOT / "results" / "eie_layers.json").read_text())["geomean"]["random"]
    readme = (ROOT / "README.md").read_text()
    used = means["utilization"]
    assert f"{used['default']:.1%} instead of {used['isca16']:.1%}" in readme
    assert f"in {means['cycles_ratio']:.2f} of the cycles" in readme


def test_the_readme_states_what_the_second_engine_does():
    readme = (ROOT / "README.md").read_text()
    targets = json.loads((ROOT / "results" / "nm_layers.json").read_text())["targets"]
    found = {one["what"]: one["found"]["default"] for one in targets}
    assert f"2:4 takes {found['cycles 2:4 / dense, BERT']:.4f} of the dense" in readme
    scales = json.loads((ROOT / "results" / "nm_real.json").read_text())["scales"]
    cosine = next(one["mean"] for one in scales if one["migration"])
    assert f"have a cosine of {cosine:.3f} with" in readme


def test_the_readme_states_what_a_processing_element_takes():
    readme = (ROOT / "README.md").read_text()
    history = json.loads((ROOT / "results" / "units.json").read_text())["history"]
    row = [one for one in history if (one["unit"], one["preset"]) == ("eie.pe", "fpga64")][-1]
    figures = row["figures"]
    assert (
        f"a PE of {figures['lut4']} lookup tables, {figures['block_rams']} block RAMs, "
        f"{row['median_mhz']:.0f} MHz"
    ) in readme


def test_the_readme_states_what_compression_reaches():
    readme = (ROOT / "README.md").read_text()
    for name, patterns in (
        (
            "lenet_300_100",
            (
                "LeNet-300-100 with {kept:.0f} % of its weights is {ratio:.1f} times smaller "
                "(error {error:.2f} %, dense {dense:.2f} %)",
                "with {kept:.1f} % {ratio:.0f} times ({error:.2f} %)",
            ),
        ),
        (
            "lenet_5",
            ("LeNet-5 with {kept:.1f} % {ratio:.0f} times ({error:.2f} %, dense {dense:.2f} %)",),
        ),
    ):
        document = json.loads((ROOT / "results" / f"compress_{name}.json").read_text())
        for level, pattern in zip(document["levels"], patterns, strict=False):
            found = pattern.format(
                kept=100 * level["density"],
                ratio=level["ratio"]["mean"],
                error=level["shared_error"]["mean"],
                dense=document["dense_error"]["mean"],
            )
            assert found in readme


def test_all_that_was_simulated_agreed():
    for name in ("eie_agreement.json", "eie_real.json", "nm_agreement.json"):
        document = json.loads((ROOT / "results" / name).read_text())
        assert document["layers"]
        assert all(layer["equal"] for layer in document["layers"])


def test_the_page_shows_clock_and_area():
    document = json.loads((ROOT / "results" / "nm_fit.json").read_text())
    assert fit_table(document) in (ROOT / "docs" / "nm.md").read_text()


def test_nm_costs_no_more_than_a_twentieth_of_the_clock():
    comparisons = json.loads((ROOT / "results" / "nm_fit.json").read_text())["comparisons"]
    assert all(len(row["mhz"]) >= 5 for row in measured(comparisons))
    assert all(one["ratios"]["N:M"]["mhz"] >= 0.95 for one in comparisons.values())


def measured(comparisons: dict) -> list[dict]:
    """What was placed and routed."""
    rows = [row for one in comparisons.values() for row in one["configurations"].values()]
    return [row for row in rows if "mhz" in row]


def test_the_result_is_that_of_the_configurations_there_are():
    comparisons = json.loads((ROOT / "results" / "nm_fit.json").read_text())["comparisons"]
    for name, comparison in COMPARISONS.items():
        configs = {**comparison.configs, **comparison.area_only}
        rows = comparisons[name]["configurations"]
        assert {key: row["digest"] for key, row in rows.items()} == {
            key: config.digest for key, config in configs.items()
        }
