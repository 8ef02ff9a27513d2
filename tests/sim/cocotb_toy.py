"""cocotb benches of the toy machine, for the tests of the bench runner. One of them fails."""

import os

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge


async def cycles_until_idle(dut) -> int:
    """Reset the machine, and count until it is ready."""
    Clock(dut.clk, 10, "ns").start()
    dut.start.value = 0
    dut.write__valid.value = 0
    dut.read__valid.value = 0
    dut.rst.value = 1
    await RisingEdge(dut.clk)
    await RisingEdge(dut.clk)
    dut.rst.value = 0
    await RisingEdge(dut.clk)
    cycles = 0
    while int(dut.busy.value):
        await RisingEdge(dut.clk)
        cycles += 1
    return cycles


@cocotb.test()
async def clears_itself(dut):
    assert await cycles_until_idle(dut) == int(os.environ["ROWS"])


@cocotb.test()
async def shows_what_is_public(dut):
    await cycles_until_idle(dut)
    assert int(dut.left.value) == 0


@cocotb.test()
async def knows_its_seed(dut):
    assert os.environ["COCOTB_RANDOM_SEED"] == os.environ["SEED"]


@cocotb.test()
async def fails(dut):
    assert await cycles_until_idle(dut) == -1
