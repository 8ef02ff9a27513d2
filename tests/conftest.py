"""What every test may use: the seed and its ``rng``, the folder for waveforms, the tier markers."""

import os
import random
import re
import shutil
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.tiers import ROOT, TIERS

DEFAULT_SEED = 1
WAVES = ROOT / "build" / "waves"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("skipstone")
    group.addoption(
        "--seed",
        default=str(DEFAULT_SEED),
        help=f"seed of all random tests: a number, or `random` (default: {DEFAULT_SEED})",
    )
    group.addoption(
        "--waves", action="store_true", help="record waveforms into build/waves (default: off)"
    )


def pytest_configure(config: pytest.Config) -> None:
    # Tests run in as many processes as there are cores: threads of torch would only fight for them.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for tier, meaning in TIERS.items():
        config.addinivalue_line("markers", f"{tier}: {meaning}")
    config.option.seed = _settled_seed(config)


def _settled_seed(config: pytest.Config) -> int:
    """One seed a run: a worker process takes what the first process settled on."""
    given = str(getattr(config, "workerinput", {}).get("seed") or config.getoption("--seed"))
    if given == "random":
        return random.SystemRandom().randrange(2**32)
    if not re.fullmatch(r"[0-9]+", given):
        raise pytest.UsageError(f"--seed takes a number from 0, or `random`; got {given!r}")
    return int(given)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Hand the seed to a worker process of pytest-xdist."""
    node.workerinput["seed"] = str(node.config.getoption("--seed"))


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed: {config.getoption('--seed')}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Print the seed below each failure as well: there it is looked for."""
    report = yield
    if report.failed:
        report.sections.append(("seed", f"repeat with --seed {item.config.getoption('--seed')}"))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Refuse a test without a tier, or with two: it would run never, or twice."""
    report = yield
    wrong = [
        f"{item.nodeid}: {', '.join(tiers) or 'none'}"
        for item in report.result
        if isinstance(item, pytest.Item) and len(tiers := _tiers(item)) != 1
    ]
    if wrong:
        report.outcome = "failed"
        report.longrepr = "\n".join([f"each test has one tier of {', '.join(TIERS)}:", *wrong])
        report.result = []
    return report


def _tiers(item: pytest.Item) -> list[str]:
    return [tier for tier in TIERS if item.get_closest_marker(tier)]


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A seed of this test's own: adding or deselecting other tests does not change it."""
    given = request.config.getoption("--seed")
    return zlib.crc32(f"{given} {request.node.nodeid}".encode())


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    """Random numbers of this test; the printed ``--seed`` repeats them."""
    return np.random.default_rng(seed)


@pytest.fixture
def waves(request: pytest.FixtureRequest) -> Path | None:
    """An empty folder to record waveforms into, or ``None`` unless ``--waves`` asks for them."""
    if not request.config.getoption("--waves"):
        return None
    folder = WAVES / re.sub(r"[^\w.-]+", "-", request.node.nodeid).strip("-")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
