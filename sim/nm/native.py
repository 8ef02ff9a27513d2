"""The N:M array in Verilator, behind a native harness."""

from sim.native import NativeExecutor
from sim.nm.bus import NmBus


class NativePort(NmBus, NativeExecutor):
    """The N:M array as a compiled program; parameters are those of
    :class:`sim.native.NativeExecutor`."""
