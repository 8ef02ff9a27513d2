"""cocotb on Verilator, for any component: builds it, runs a module of benches, says what failed.

cocotb's own runner makes every signal of the design public, which a large array's compilation does
not survive. Here only the ports of the top are public, and what a bench names beyond them.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

from amaranth.lib import wiring

from hw.emit import emit
from sim.recipe import Recipe
from sim.tools import require, verilator_environment
from sim.verilate import BUILD, build
from sim.waves import wave_file
from spec.errors import UserError

TIME_SCALE = "1ns/1ps"
TAIL_CHARACTERS = 6000


class BenchError(AssertionError):
    """A bench failed, or did not get as far as failing."""


def run_bench(
    component: wiring.Component,
    module_name: str,
    test_module: str,
    *,
    tests: Sequence[str] = (),
    seed: int | None = None,
    environment: Mapping[str, str] | None = None,
    public: Sequence[tuple[str, str]] = (),
    shared: Sequence[str] = (),
    waves: bool | Path = False,
    timeout_seconds: float = 600.0,
    build_dir: Path = BUILD,
) -> list[str]:
    """Emit and build a component, and run the cocotb tests of a Python module on it.

    Parameters
    ----------
    component : wiring.Component
    module_name : str
        The Verilog module that it is emitted as.
    test_module : str
        Python module with ``@cocotb.test()`` functions, by its dotted name.
    tests : sequence of str
        Names of the tests to run, with all of their parameters; all tests by default.
    seed : int, optional
        From which cocotb derives a seed for each test, ``cocotb.RANDOM_SEED``, and seeds
        ``random``.
    environment : mapping, optional
        Further environment variables, to hand parameters to the benches.
    public : sequence of (module, signal)
        Signals inside the design that the benches read or write.
    shared : sequence of str
        Modules with many instances, see :class:`sim.recipe.Recipe`.
    waves : bool or Path
        Record waveforms, into ``build/waves`` or another folder.
    timeout_seconds : float
        After which the simulation is ended.

    Returns
    -------
    list of str
        Names of the tests that ran and passed.

    Raises
    ------
    BenchError
        A test failed, or none ran.
    """
    recipe = bench_recipe(component, module_name, public=public, shared=shared, waves=bool(waves))
    program = build(recipe, build_dir)
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        settings = bench_environment(module_name, test_module, results)
        if tests:
            settings["COCOTB_TEST_FILTER"] = rf"\.({'|'.join(tests)})(/|$)"
        if seed is not None:
            settings["COCOTB_RANDOM_SEED"] = str(seed)
        command = bench_command(program, wave_file(waves, f"cocotb-{module_name}"))
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env=settings | dict(environment or {}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=timeout_seconds,
            )
        except subprocess.TimeoutExpired as error:
            text = (error.stdout or b"").decode(errors="replace")[-TAIL_CHARACTERS:]
            raise BenchError(f"{test_module}: not done in {timeout_seconds} s\n{text}") from None
        return _passed(test_module, results, done.returncode, done.stdout)


def bench_recipe(
    component: wiring.Component,
    module_name: str,
    *,
    public: Sequence[tuple[str, str]] = (),
    shared: Sequence[str] = (),
    waves: bool = False,
) -> Recipe:
    """What the cocotb program of a component is built from."""
    require("cocotb")
    from cocotb_tools import config as cocotb_config

    verilog = emit(component, module_name)
    ports = ["__".join(map(str, path)) for path, _, _ in component.signature.flatten(component)]
    seen = [(module_name, port) for port in ("clk", "rst", *ports)]
    libraries = cocotb_config.libs_dir
    return Recipe(
        top=module_name,
        verilog=verilog,
        sources=[Path(cocotb_config.share_dir) / "lib" / "verilator" / "verilator.cpp"],
        shared=shared,
        control=[
            f'public_flat_rw -module "{module}" -var "{signal}"'
            for module, signal in [*seen, *public]
        ],
        options=[
            "--vpi",
            "--timescale",
            TIME_SCALE,
            "-LDFLAGS",
            f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator",
        ],
        waves=waves,
    )


def bench_environment(module_name: str, test_module: str, results: Path) -> dict[str, str]:
    """The environment in which a cocotb program finds Python, the benches and the design's top."""
    require("cocotb")
    import find_libpython
    from cocotb_tools import config as cocotb_config

    library = os.environ.get("LIBPYTHON_LOC") or find_libpython.find_libpython()
    if library is None:
        raise UserError(
            f"cocotb needs Python as a shared library, and there is none for {sys.executable}; "
            "get it: apt install libpython3-dev, or a Python built with --enable-shared"
        )
    return {
        **verilator_environment(),
        "GPI_USERS": f"{library};{cocotb_config.pygpi_entry_point()}",
        "PYGPI_PYTHON_BIN": sys.executable,
        "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
        "COCOTB_TOPLEVEL": module_name,
        "COCOTB_TEST_MODULES": test_module,
        "COCOTB_RESULTS_FILE": str(results),
        "COCOTB_ANSI_OUTPUT": "0",
        # Verilator applies writes by itself at the right moment; cocotb need not wait for that.
        "COCOTB_TRUST_INERTIAL_WRITES": "1",
        "TOPLEVEL_LANG": "verilog",
    }


def bench_command(program: Path, waves: Path | None) -> list[str]:
    """How a cocotb program is called."""
    return [str(program), *(["--trace", "--trace-file", str(waves)] if waves else [])]


def _passed(test_module: str, results: Path, code: int, output: str) -> list[str]:
    """Names of the tests that passed; the others raise."""
    tail = output[-TAIL_CHARACTERS:]
    if code or not results.is_file():
        raise BenchError(f"{test_module}: the simulation ended with exit code {code}\n{tail}")
    cases = list(ElementTree.parse(results).getroot().iter("testcase"))
    wrong = [
        str(case.get("name"))
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]
    if wrong:
        raise BenchError(f"{test_module}: failed: {', '.join(wrong)}\n{tail}")
    passed = [str(case.get("name")) for case in cases if case.find("skipped") is None]
    if not passed:
        raise BenchError(f"{test_module}: there are no tests to run\n{tail}")
    return passed
