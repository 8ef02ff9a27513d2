"""The page on the shell shows the table of registers as it is."""

import pytest

from hw.shells import LINKS
from spec.eie.config import preset as eie_preset
from spec.nm.config import preset as nm_preset
from spec.registers.document import markdown
from spec.registers.files import register_files
from spec.registers.table import PARAMETERS_AT, registers
from tests.tiers import ROOT

pytestmark = pytest.mark.unit

PAGE = (ROOT / "docs" / "shell.md").read_text()
TABLE = registers([eie_preset("default"), nm_preset("default")])


def test_the_page_shows_the_registers_of_every_shell():
    """Those before the engines' own."""
    common = [one for one in TABLE if one.address < min(PARAMETERS_AT.values())]
    assert markdown(common) in PAGE


def test_the_page_names_every_file_and_every_link():
    names = [name.removeprefix("skipstone") for name in register_files(TABLE, "0")]
    assert [name for name in names if name not in PAGE] == []
    assert [one for one in LINKS if f"--shell {one}" not in PAGE] == []
    assert [one.top for one in LINKS.values() if f"`{one.top}`" not in PAGE] == []
