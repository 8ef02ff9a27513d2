"""The runner of cocotb benches."""

import pytest

from sim.cocotb_build import BenchError, run_bench
from tests.sim.ports import EieHost
from tests.sim.toy_machine import EieToy

pytestmark = pytest.mark.verilator

BENCHES = "tests.sim.cocotb_toy"


def run(*tests: str, **options: object) -> list[str]:
    """Run benches of the toy machine, by name."""
    options.setdefault("environment", {"ROWS": str(EieHost.config.rows)})
    return run_bench(EieToy(EieHost.config), "toy", BENCHES, tests=tests, **options)


def test_benches_that_pass_are_named():
    assert run("clears_itself") == ["clears_itself"]
    passed = run("clears_itself", "shows_what_is_public", public=[("toy", "left")])
    assert sorted(passed) == ["clears_itself", "shows_what_is_public"]


def test_a_bench_that_fails_is_told_with_its_trace():
    with pytest.raises(BenchError, match=r"(?s)failed: fails\n.*cycles_until_idle\(dut\) == -1"):
        run("clears_itself", "fails")


def test_only_ports_are_public_unless_named():
    with pytest.raises(BenchError, match="failed: shows_what_is_public"):
        run("shows_what_is_public")


def test_parameters_and_seed_reach_the_bench(seed):
    assert run("knows_its_seed", seed=seed, environment={"SEED": str(seed)})
    with pytest.raises(BenchError, match="failed: clears_itself"):
        run("clears_itself", environment={"ROWS": "1"})


def test_no_benches_is_no_success():
    with pytest.raises(BenchError):
        run("no_such_bench")


def test_a_bench_module_that_is_missing_is_told():
    with pytest.raises(BenchError, match="tests.sim.no_such_module"):
        run_bench(EieToy(EieHost.config), "toy", "tests.sim.no_such_module")


def test_a_bench_that_takes_too_long_is_ended():
    with pytest.raises(BenchError, match="not done in 0.05 s"):
        run("clears_itself", timeout_seconds=0.05)


def test_waves_are_recorded_when_asked_for(tmp_path):
    run("clears_itself", waves=tmp_path)
    assert "busy" in (tmp_path / "cocotb-toy.vcd").read_text()
