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


def test_the_engines_page_states_what_was_measured():
    used = json.loads((ROOT / "results" / "eie_layers.json").read_text())["geomean_utilization"]
    page = (ROOT / "docs" / "eie.md").read_text()
    told = [f"{used[kind][name]:.1%}" for kind in used for name in used[kind]]
    assert [value for value in told if value.replace("%", " %") not in page] == []
