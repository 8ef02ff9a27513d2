"""Figures on the pages are those of the files under results/."""

import json

import pytest

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


def test_all_that_was_simulated_agreed():
    for name in ("eie_agreement.json", "eie_real.json"):
        document = json.loads((ROOT / "results" / name).read_text())
        assert document["layers"]
        assert all(layer["equal"] for layer in document["layers"])
