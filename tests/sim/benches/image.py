"""Bench of the emitted shell: an image runs over AXI as on the golden model."""

import os
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.task import bridge

from boards.device import open_device
from sim.cocotb_server import PERIOD_STEPS
from sim.devices import open_for
from sim.shell.axi_link import AxiLink
from spec import image
from sw.host.compare import first_difference, run_on

IMAGE = "SKIPSTONE_BENCH_IMAGE"
INPUT = "SKIPSTONE_BENCH_INPUT"


@cocotb.test()
async def agrees(dut: Any) -> None:
    program, batch = image.read(os.environ[IMAGE]), np.load(os.environ[INPUT])
    dut.rst.value = 0
    Clock(dut.clk, PERIOD_STEPS, "step").start()
    link = AxiLink(dut)

    def run() -> None:
        found = run_on(open_device(link, program, "shell"), program, batch)
        told = run_on(open_for("golden", program), program, batch)
        assert first_difference(program, told, found) is None

    await bridge(run)()
