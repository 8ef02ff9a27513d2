"""The emitted shell under cocotb, its buses driven by ``cocotbext-axi``."""

import json
from collections.abc import Sequence

import pytest

from hw.shell.shell import Shell
from sim.cocotb_build import run_bench
from spec.config import Config
from spec.eie.config import preset as eie_preset
from spec.nm.config import preset as nm_preset
from tests.sim.benches import shell as benches

pytestmark = pytest.mark.verilator

EIE = eie_preset("tiny", pes=2, lanes=2, clusters=1)
NM = nm_preset("tiny")
SHELLS = {"eie": [EIE], "nm": [NM], "both": [EIE, NM]}
EVENTS = 334
"""In each shell: a thousand in all."""


def run(configs: Sequence[Config], seed: int, tests: Sequence[str], *, ragged: bool) -> list[str]:
    """Names of the tests that passed."""
    return run_bench(
        Shell(configs),
        "skipstone_axi",
        "tests.sim.benches.shell",
        tests=tests,
        seed=seed,
        environment={
            benches.CONFIGS: json.dumps({one.engine: one.to_json() for one in configs}),
            benches.RAGGED: str(int(ragged)),
            benches.EVENTS: str(EVENTS),
        },
    )


@pytest.mark.parametrize("ragged", [False, True], ids=["steady", "ragged"])
@pytest.mark.parametrize("configs", SHELLS.values(), ids=SHELLS)
def test_networks(seed, configs, ragged):
    """The golden models' outputs and counters, however slow the buses are."""
    tests = ["networks", "accesses", "ends_of_messages"]
    assert sorted(run(configs, seed, tests, ragged=ragged)) == sorted(tests)


@pytest.mark.parametrize("configs", SHELLS.values(), ids=SHELLS)
def test_events(seed, configs):
    """Transfers cut off, resets at any moment, wrong accesses and messages."""
    assert run(configs, seed, ["events"], ragged=True) == ["events"]
