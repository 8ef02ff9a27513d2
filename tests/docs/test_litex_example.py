"""The LiteX example: it compiles, and connects every port of the emitted shell, as it is."""

import ast
import json
from pathlib import Path

import pytest

from hw.build import build_design
from hw.designs import shell_design
from spec.eie.config import preset
from spec.registers.table import ADDRESS_BITS
from tests.tiers import ROOT

pytestmark = pytest.mark.unit

EXAMPLE = ROOT / "docs" / "examples" / "litex_skipstone.py"


def test_it_connects_every_port(tmp_path: Path) -> None:
    folder = build_design(shell_design([preset("tiny", pes=2)], "axi"), tmp_path / "out")
    facts = json.loads((folder / "manifest.json").read_text())
    prefix = {"input": "i", "output": "o"}
    ports = {f"{prefix[one['direction']]}_{name}": one for name, one in facts["ports"].items()}
    (instance,) = (
        node
        for node in ast.walk(ast.parse(EXAMPLE.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Instance"
    )
    assert ast.literal_eval(instance.args[0]) == facts["top"]
    connected = {word.arg: ast.unparse(word.value) for word in instance.keywords}
    assert sorted(map(str, connected)) == sorted(ports)
    for name, value in connected.items():
        if str(name).endswith("addr"):
            assert value.endswith(f"addr[:{ADDRESS_BITS}]")
            assert ports[str(name)]["width"] == ADDRESS_BITS


def test_it_compiles() -> None:
    compile(EXAMPLE.read_text(), str(EXAMPLE), "exec")
