"""No module imports what its part may not know: tests/layers.py has the table."""

import pytest

from tests.layers import LAYERS, WHOLE_FLOW, modules, violations
from tests.tiers import ROOT

pytestmark = pytest.mark.unit

MODULES = modules(ROOT)


@pytest.mark.parametrize("module", MODULES)
def test_imports_follow_the_arrows(module: str) -> None:
    file = MODULES[module]
    source = file.read_text(encoding="utf-8")
    assert violations(module, source, is_package=file.name == "__init__.py") == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("spec.numbers", "import numpy as np\nfrom .errors import UserError\nimport json"),
        ("hw.eie.pe", "from amaranth.lib import wiring\nfrom spec.eie.config import EieConfig"),
        ("hw.eie.pe", "from . import mac\nfrom ..memory import Ram"),
        ("sw.compress.prune", "import torch\nfrom torch import nn"),
        ("sw.compile.eie.pack", "from spec import image\nfrom safetensors.torch import load_file"),
        ("sim.devices", "from hw.build import emit\nfrom sw.host import device\nimport cocotb"),
        ("sim.demo", "import torch\nfrom sw import compile, compress\nfrom hw import build"),
        ("spec.image", "from importlib import import_module\nimport_module('spec.eie.csc')"),
    ],
)
def test_allowed(module: str, source: str) -> None:
    assert violations(module, source) == []


@pytest.mark.parametrize(
    ("module", "source", "target"),
    [
        ("spec.numbers", "import torch", "torch"),
        ("spec.numbers", "import hw.eie", "hw.eie"),
        ("spec.numbers", "from amaranth.hdl import Signal", "amaranth.hdl.Signal"),
        ("spec.numbers", "def f():\n    from sw.host import device", "sw.host.device"),
        ("spec.numbers", "if TYPE_CHECKING:\n    import sim", "sim"),
        ("spec.eie.csc", "from ...hw import emit", "hw.emit"),
        ("hw.build", "from sw.host.eie.port import Port", "sw.host.eie.port.Port"),
        ("hw.build", "import torch.nn as nn", "torch.nn"),
        ("hw.eie.pe", "import cocotb", "cocotb"),
        ("sw.compress.prune", "from sw.compile import pack", "sw.compile.pack"),
        ("sw.compress.prune", "from ..compile import pack", "sw.compile.pack"),
        ("sw.compress.prune", "from .. import compile", "sw.compile"),
        ("sw.compile.eie.pack", "from sw import compress", "sw.compress"),
        ("sw.compile.eie.pack", "import hw", "hw"),
        ("sw.host.eie.driver", "import torch", "torch"),
        ("sw.host.eie.driver", "from sim import run", "sim.run"),
        ("sw", "from spec import errors", "spec.errors"),
        ("sim.run", "from sw.compile.eie.pack import pack", "sw.compile.eie.pack.pack"),
        ("sim.run", "import boards", "boards"),
        ("sim.demonstration", "import torch", "torch"),
        ("boards.ulx3s", "import sw.compress", "sw.compress"),
        ("spec.image", "import importlib\nimportlib.import_module('hw.emit')", "hw.emit"),
        ("spec.image", "import importlib as i\ni.import_module(name='torch')", "torch"),
        ("sw.host.eie.port", "from importlib import import_module as im\nim('torch')", "torch"),
        ("sw.compile.eie.pack", "import_module('...compress', __package__)", "sw.compress"),
        ("spec.image", "__import__('amaranth')", "amaranth"),
        ("spec.image", "from tests import tiers", "tests.tiers"),
        ("sim.run", "PORTS = {'a': 'hw.x', 'b': 'boards.y'}\nimport_module(PORTS[n])", "boards.y"),
        ("sim.demo", "from tests import tiers", "tests.tiers"),
        ("sim.demo", "import pandas", "pandas"),
    ],
)
def test_refused(module: str, source: str, target: str) -> None:
    line = source.count("\n") + 1
    assert violations(module, source) == [f"{module}:{line} may not import {target}"]


def test_name_that_is_no_literal_is_refused() -> None:
    found = violations("spec.image", "import importlib\nimportlib.import_module(name)")
    assert found == ["spec.image:2 imports by a name that is not a literal"]


def test_relative_import_of_a_package_starts_at_itself() -> None:
    assert violations("sw.compress", "from . import prune", is_package=True) == []
    assert violations("sw.compress", "from .. import host", is_package=True) == [
        "sw.compress:1 may not import sw.host"
    ]


def test_every_module_is_seen() -> None:
    assert {name.partition(".")[0] for name in MODULES} == {
        name.partition(".")[0] for name in LAYERS
    }
    assert set(WHOLE_FLOW) <= set(MODULES)
