"""Verilator through cocotb: the executor whose drivers are those of the benches."""

import os
from pathlib import Path

from hw.eie.array import EieArray
from sim.child import ProcessPort
from sim.cocotb_build import bench_command, bench_environment, bench_recipe
from sim.eie.native import SHARED, TOP, Factory
from sim.protocol import PATIENCE, RAGGED, SOCKET
from sim.tools import require
from sim.verilate import BUILD, build
from sim.waves import wave_file
from spec.eie.config import EieConfig
from sw.host.eie.port import patience_cycles


class CocotbPort(ProcessPort):
    """The array under cocotb: some ten thousand words or cycles with traffic per second.

    The simulator's process runs one cocotb test, :mod:`sim.eie.cocotb_server`, which serves this
    port until it is closed.

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
        array = component(config)
        shared = SHARED if component is EieArray else ()
        program = build(bench_recipe(array, TOP, shared=shared, waves=bool(waves)), build_dir)
        environment = bench_environment(TOP, "sim.eie.cocotb_server", Path(os.devnull))
        environment[SOCKET] = "{socket}"
        environment[PATIENCE] = str(patience_cycles(config))
        if ragged is not None:
            environment[RAGGED] = str(ragged)
        tools = {name: require(name).version for name in ("amaranth", "verilator", "g++", "cocotb")}
        command = bench_command(program, wave_file(waves, "cocotb"))
        super().__init__(config, tools, command, environment, paced=ragged is None)
