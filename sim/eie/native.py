"""Verilator through a native harness: the fast executor, for whole layers."""

from collections.abc import Callable
from pathlib import Path

from amaranth.lib import wiring

from hw.eie.array import EieArray
from hw.emit import emit
from sim.child import ProcessPort
from sim.protocol import macros
from sim.recipe import Recipe
from sim.tools import require
from sim.verilate import BUILD, build
from sim.waves import wave_file
from spec.eie.config import EieConfig
from sw.host.eie.port import patience_cycles

HARNESS = Path(__file__).parents[1] / "harness" / "native.cpp"
TOP = "eie_array"
SHARED = ("eie_pe",)
"""Modules that are compiled once for all of their instances."""

Factory = Callable[[EieConfig], wiring.Component]
"""Makes the array, or anything else with its ports."""


class NativePort(ProcessPort):
    """The array as a compiled program: a few hundred thousand cycles per second at 64 PEs.

    The first port of a kind builds the program; it is kept, see :mod:`sim.verilate`.

    Parameters
    ----------
    config : EieConfig
    component : callable, optional
        Makes what is simulated from the configuration, :class:`hw.eie.array.EieArray` by default.
    ragged : int, optional
        Seed of random gaps on all streams. Without it, streams never pause.
    waves : bool or Path
        Record waveforms, into ``build/waves`` or another folder.
    build_dir : Path
        Where programs are kept.
    """

    def __init__(
        self,
        config: EieConfig,
        *,
        component: Factory = EieArray,
        ragged: int | None = None,
        waves: bool | Path = False,
        build_dir: Path = BUILD,
    ) -> None:
        program = build(recipe(config, component, bool(waves)), build_dir)
        command = [str(program), "{socket}", str(patience_cycles(config))]
        command.append("steady" if ragged is None else str(ragged))
        file = wave_file(waves, "verilator")
        if file:
            command.append(str(file))
        tools = {name: require(name).version for name in ("amaranth", "verilator", "g++")}
        super().__init__(config, tools, command, paced=ragged is None)


def recipe(config: EieConfig, component: Factory = EieArray, waves: bool = False) -> Recipe:
    """What the native program of this configuration is built from."""
    verilog = emit(component(config), TOP)
    return Recipe(
        top=TOP,
        verilog=verilog,
        sources=[HARNESS],
        shared=[module for module in SHARED if f"{module}.v" in verilog],
        macros=macros(),
        waves=waves,
    )
