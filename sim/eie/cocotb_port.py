"""The EIE array in Verilator, under cocotb."""

from sim.cocotb_executor import CocotbExecutor
from sim.eie.bus import EieBus


class CocotbPort(EieBus, CocotbExecutor):
    """The EIE array under cocotb; parameters are those of
    :class:`sim.cocotb_executor.CocotbExecutor`."""
