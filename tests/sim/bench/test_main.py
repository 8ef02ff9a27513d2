"""``python -m sim.bench``: what is measured, what is printed, and which file keeps it."""

import json
from pathlib import Path
from typing import Any

import pytest

from sim.bench import __main__ as bench
from sim.bench.__main__ import BENCHMARKS, main

pytestmark = pytest.mark.unit

WHOLE = {
    ("targets",): ("targets", "targets.json"),
    ("eie",): ("eie", "eie_layers.json"),
    ("eie", "--on", "verilator"): ("agreement", "eie_agreement.json"),
    ("real",): ("real_layers", "eie_real.json"),
    ("real-nm",): ("real_nm", "nm_real.json"),
    ("nm",): ("nm", "nm_layers.json"),
    ("nm", "--on", "verilator"): ("nm_agreement", "nm_agreement.json"),
    ("compare",): ("compare", "nm_compare.json"),
    ("compress", "large"): ("compress", "compress_large.json"),
    ("compress", "lenet-5"): ("compress", "compress_lenet_5.json"),
}
"""Commands that measure all, the module that does, and the file that keeps it."""

PART = {
    ("eie", "--layers", "NT-We", "Alex-6"): ("eie", (["NT-We", "Alex-6"], 64)),
    ("eie", "--pes", "16"): ("eie", ([], 16)),
    ("eie", "--on", "verilator", "--pes", "8"): ("agreement", ([], 8)),
    ("nm", "--layers", "5x9x3"): ("nm", (["5x9x3"],)),
    ("nm", "--on", "verilator", "--layers", "5x9x3"): ("nm_agreement", (["5x9x3"],)),
    ("compare", "5x9x3"): ("compare", ("5x9x3", None, None, None)),
    ("compare", "a.pt", "--calibrate", "x", "--input", "y", "--labels", "z"): (
        "compare",
        ("a.pt", "x", "y", "z"),
    ),
}
"""Commands that measure a part, the module that does, and what it is asked for."""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple]]:
    """Nothing is measured: module and arguments of each call."""
    monkeypatch.chdir(tmp_path)
    calls: list[tuple[str, tuple]] = []

    def stand_in(name: str) -> Any:
        def run(*arguments: Any) -> dict:
            calls.append((name, arguments))
            return {"from": name}

        return run

    for name in {module for module, _ in (*WHOLE.values(), *PART.values())}:
        module = getattr(bench, name)
        for function in ("run", "run_all", "run_one"):
            if hasattr(module, function):
                monkeypatch.setattr(module, function, stand_in(name))
        monkeypatch.setattr(module, "table", lambda document: f"a table of {document}")
    return calls


def test_every_benchmark_is_here() -> None:
    assert {command[0] for command in WHOLE} == set(BENCHMARKS)


@pytest.mark.parametrize("command", WHOLE)
def test_a_whole_benchmark_is_kept(
    command: tuple[str, ...], asked: list, capsys: pytest.CaptureFixture[str]
) -> None:
    module, file = WHOLE[command]
    main([*command])
    assert [name for name, _ in asked] == [module]
    assert [one.name for one in Path("results").iterdir()] == [file]
    assert json.loads((Path("results") / file).read_text()) == {"from": module}
    assert capsys.readouterr().out == f"a table of {{'from': '{module}'}}\n"


@pytest.mark.parametrize("command", PART)
def test_a_part_is_printed_and_not_kept(
    command: tuple[str, ...], asked: list, capsys: pytest.CaptureFixture[str]
) -> None:
    module, arguments = PART[command]
    main([*command, "--json"])
    assert asked == [(module, arguments)]
    assert list(Path("results").iterdir()) == []
    assert json.loads(capsys.readouterr().out) == {"from": module}


@pytest.mark.parametrize(
    "command", [[], ["none"], ["nm", "--pes", "3"], ["nm", "--on", "pysim"], ["compress"]]
)
def test_other_commands_are_refused(
    command: list[str], asked: list, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(command)
    assert "error: " in capsys.readouterr().err
    assert asked == []
