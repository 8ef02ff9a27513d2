"""Verilator through a native harness: the fast executor, for whole layers."""

from pathlib import Path
from typing import Any

from hw.emit import emit
from sim.child import ProcessExecutor
from sim.design import Design, Factory
from sim.protocol import macros
from sim.recipe import HARNESSES, Recipe
from sim.tools import require
from sim.verilate import BUILD, build
from sim.waves import wave_file


class NativeExecutor(ProcessExecutor):
    """An array as a compiled program: some hundred thousand cycles per second.

    The first port of a kind builds the program; it is kept, see :mod:`sim.verilate`.

    Parameters
    ----------
    config
    component : callable, optional
        Makes what is simulated from the configuration; the engine's array by default.
    ragged : int, optional
        Seed of random gaps on all streams. Without it, streams never pause.
    waves : bool or Path
        Record waveforms, into ``build/waves`` or another folder.
    build_dir : Path
        Where programs are kept.
    """

    def __init__(
        self,
        config: Any,
        *,
        component: Factory | None = None,
        ragged: int | None = None,
        waves: bool | Path = False,
        build_dir: Path = BUILD,
    ) -> None:
        design = self.design
        program = build(native_recipe(design, config, component, waves=bool(waves)), build_dir)
        command = [str(program), "{socket}", str(design.patience(config))]
        command.append("steady" if ragged is None else str(ragged))
        file = wave_file(waves, "verilator")
        if file:
            command.append(str(file))
        tools = {name: require(name).version for name in ("amaranth", "verilator", "g++")}
        super().__init__(config, tools, command, paced=ragged is None)


def native_recipe(
    design: Design, config: Any, component: Factory | None = None, *, waves: bool = False
) -> Recipe:
    """What the native program of this configuration is built from."""
    verilog = emit((component or design.component)(config), design.top)
    return Recipe(
        top=design.top,
        verilog=verilog,
        sources=[design.harness],
        headers=sorted(HARNESSES.glob("*.hpp")),
        shared=[module for module in design.shared if f"{module}.v" in verilog],
        macros=macros(),
        waves=waves,
    )
