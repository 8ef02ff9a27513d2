"""From a PyTorch network with zeros in it to an image for an EIE array."""

from sw.compile.eie.driver import Result, compile_network

__all__ = ["Result", "compile_network"]
