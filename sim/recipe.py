"""Recipes: everything that decides a simulation program that Verilator builds."""

import functools
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sim.tools import require

TRANSLATION = (
    "-O3",
    # Unknown values become zeros in the cheapest way: what is emitted resets or initializes all.
    "--x-assign",
    "fast",
    "--x-initial",
    "fast",
    "--no-assert",
    # The lint has its own test; a warning does not stop a simulation.
    "-Wno-fatal",
)
HARNESSES = Path(__file__).parent / "harness"
"""Where C++ sources lie."""

COMPILATION = {"OPT_FAST": "-O2", "OPT_SLOW": "-O0", "OPT_GLOBAL": "-O2"}
"""Optimization of what runs each cycle, of what runs once, and of Verilator's own library."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a program.

    Parameters
    ----------
    top : str
        The Verilog module that is simulated.
    verilog : mapping
        Text of each Verilog file, by file name.
    sources : sequence of Path
        C++ files beside the translated ones; one of them holds ``main``.
    headers : sequence of Path
        Files that they include.
    shared : sequence of str
        Modules with many instances, to be compiled once for all.
    control : sequence of str
        Lines of a Verilator control file.
    options : sequence of str
        Further options of Verilator.
    macros : mapping
        C preprocessor macros.
    waves : bool
        Whether the program can record waveforms.
    """

    top: str
    verilog: Mapping[str, str]
    sources: Sequence[Path]
    headers: Sequence[Path] = ()
    shared: Sequence[str] = ()
    control: Sequence[str] = ()
    options: Sequence[str] = ()
    macros: Mapping[str, int | str] = field(default_factory=dict)
    waves: bool = False

    def control_file(self) -> str:
        """Verilator's control file, as text."""
        lines = ["`verilator_config"]
        for module in self.shared:
            # Code can be shared as long as an instance is not inlined and its ports are not
            # replaced by the wires at them. The clock is better replaced: all instances wake up
            # together.
            ports = [port for port in ports_of(self.verilog[f"{module}.v"]) if port != "clk"]
            lines.append(f'no_inline -module "{module}"')
            lines += [f'public_flat_rd -module "{module}" -var "{port}"' for port in ports]
        return "\n".join([*lines, *self.control, ""])

    def arguments(self) -> list[str]:
        """Verilator's arguments, without file names."""
        arguments = ["--cc", "--exe", "--prefix", "Vtop", "--top-module", self.top, *TRANSLATION]
        if self.shared:
            # The one looks across instances, the other names its tables' indices after them: both
            # make each instance different.
            arguments += ["-fno-dfg-scoped", "-fno-table"]
        if self.waves:
            arguments += ["--trace-vcd"]
        for name, value in self.macros.items():
            arguments += ["-CFLAGS", f"-D{name}={value}"]
        return [*arguments, *self.options]

    @functools.cached_property
    def key(self) -> str:
        """Sixteen hex digits that name the program."""
        sources = [source.read_text() for source in (*self.sources, *self.headers)]
        return _digest(self.arguments(), self.control_file(), dict(self.verilog), sources)

    @property
    def library_key(self) -> str:
        """Sixteen hex digits that name Verilator's own library as this program needs it."""
        return _digest(self.waves, list(self.options))


def _digest(*parts: object) -> str:
    """Of the parts, the tools and what is said to them."""
    tools = [[require(name).version for name in ("verilator", "g++")], COMPILATION]
    return hashlib.sha256(json.dumps([tools, *parts], sort_keys=True).encode()).hexdigest()[:16]


def ports_of(verilog: str) -> list[str]:
    """Names of a module's ports, from the text that was emitted for it."""
    return re.findall(r"^\s*(?:input|output)\b[^,;\n]*?(\w+),?\s*$", verilog, re.MULTILINE)
