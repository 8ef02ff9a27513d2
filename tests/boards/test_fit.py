"""Figures of boards: of the designs that there are, and as the pages show them."""

import json

import pytest

from boards.fit import DESIGNS, FILE, PAGE, section, table
from tests.tiers import ROOT

pytestmark = pytest.mark.unit

DOCUMENT = json.loads((ROOT / FILE).read_text())


def test_every_design_was_measured_as_it_is():
    found = {name: row["digest"] for name, row in DOCUMENT["designs"].items()}
    assert found == {name: design.config.digest for name, design in DESIGNS.items()}
    for name, row in DOCUMENT["designs"].items():
        assert row["target_mhz"] == DESIGNS[name].target_mhz
        assert row["median_mhz"] in row["mhz"] or len(row["mhz"]) % 2 == 0


def test_the_page_shows_them():
    assert section(DOCUMENT) in (ROOT / PAGE).read_text()


def test_the_readme_states_what_the_largest_reaches():
    row = DOCUMENT["designs"]["ulx3s-eie-64"]
    stated = f"64 PEs at {row['median_mhz']:.1f} MHz, {row['useful_gmacs']:.2f} useful GMAC/s"
    assert stated in (ROOT / "README.md").read_text()


def test_the_table_has_least_middle_and_most():
    row = DOCUMENT["designs"]["ulx3s-eie-6"] | {"mhz": [70.0, 90.0, 81.0]}
    (line,) = table({"designs": {"six": row}}).splitlines()[2:]
    assert line.startswith("| six | LFE5U-25F |")
    assert "| 3 | 70.0, 81.0, 90.0 |" in line
