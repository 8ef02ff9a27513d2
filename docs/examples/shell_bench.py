"""Runs an image of an EIE array on the emitted shell, in Verilator, through its AXI buses.

    python -m docs.examples.shell_bench net.skip x.npy

The input is an integer batch, as the array takes it. What begins with ``@cocotb.test()`` runs in
the simulator, and drives the buses with ``cocotbext-axi``; the driver is the one of a board.
"""

import os
import sys
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import bridge

from hw.shell import shell as rtl
from sim.cocotb_build import run_bench
from sim.shell.axi_link import AxiLink
from spec import image
from spec.eie.program import Program
from spec.errors import UserError, cli
from sw.host.compare import first_difference, run_on
from sw.host.eie.driver import BusDevice
from sw.host.eie.golden import GoldenDevice
from sw.host.shell.client import Shell
from sw.host.shell.eie import EiePort

IMAGE, INPUT = "SKIPSTONE_IMAGE", "SKIPSTONE_INPUT"


@cocotb.test()
async def bench(dut: Any) -> None:
    """Load, run, compare with the golden model: outputs, cycles and all counters."""
    program, batch = read(os.environ[IMAGE]), np.load(os.environ[INPUT])
    Clock(dut.clk, 10, "ns").start()
    dut.rst.value = 0
    link = AxiLink(dut)

    def run() -> None:
        shell = Shell(link, [program.config])  # refuses another device
        found = run_on(BusDevice(EiePort(shell), "shell"), program, batch)
        told = run_on(GoldenDevice(program.config), program, batch)
        assert first_difference(program, told, found) is None

    await bridge(run)()


def read(path: str) -> Program:
    """An image for an EIE array."""
    program = image.read(path)
    if not isinstance(program, Program):
        raise UserError(f"{path} is for another engine")
    return program


def main(argv: list[str] | None = None) -> None:
    given = sys.argv[1:] if argv is None else argv
    if len(given) != 2:
        raise UserError("give an image and a batch: net.skip x.npy")
    paths = [str(Path(path).absolute()) for path in given]
    top = rtl.Shell([read(paths[0]).config])
    environment = dict(zip((IMAGE, INPUT), paths, strict=True))
    run_bench(top, "skipstone_axi", "docs.examples.shell_bench", environment=environment)
    print(
        f"{len(np.load(paths[1]))} images: outputs and counters as the golden model predicts them"
    )


if __name__ == "__main__":
    cli(main)
