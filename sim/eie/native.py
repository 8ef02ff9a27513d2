"""The EIE array in Verilator, behind a native harness."""

from sim.eie.bus import EieBus
from sim.native import NativeExecutor


class NativePort(EieBus, NativeExecutor):
    """The EIE array as a compiled program; parameters are those of
    :class:`sim.native.NativeExecutor`."""
