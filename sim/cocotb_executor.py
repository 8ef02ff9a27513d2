"""Verilator through cocotb: the executor whose drivers are those of the benches."""

import os
from pathlib import Path
from typing import Any

from sim.child import ProcessExecutor
from sim.cocotb_build import bench_command, bench_environment, bench_recipe
from sim.design import Factory
from sim.protocol import PATIENCE, RAGGED, SOCKET
from sim.tools import require
from sim.verilate import BUILD, build
from sim.waves import wave_file


class CocotbExecutor(ProcessExecutor):
    """An array under cocotb: some ten thousand words or cycles with traffic per second.

    The simulator's process runs one cocotb test, that of ``design.server``, which serves this port
    until it is closed. Parameters are those of :class:`sim.native.NativeExecutor`.
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
        array = (component or design.component)(config)
        shared = design.shared if component in (None, design.component) else ()
        recipe = bench_recipe(array, design.top, shared=shared, waves=bool(waves))
        program = build(recipe, build_dir)
        environment = bench_environment(design.top, design.server, Path(os.devnull))
        environment[SOCKET] = "{socket}"
        environment[PATIENCE] = str(design.patience(config))
        if ragged is not None:
            environment[RAGGED] = str(ragged)
        tools = {name: require(name).version for name in ("amaranth", "verilator", "g++", "cocotb")}
        command = bench_command(program, wave_file(waves, "cocotb"))
        super().__init__(config, tools, command, environment, paced=ragged is None)
