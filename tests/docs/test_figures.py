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
