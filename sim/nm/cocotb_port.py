"""The N:M array in Verilator, under cocotb."""

from sim.cocotb_executor import CocotbExecutor
from sim.nm.bus import NmBus


class CocotbPort(NmBus, CocotbExecutor):
    """The N:M array under cocotb; parameters are those of
    :class:`sim.cocotb_executor.CocotbExecutor`."""
