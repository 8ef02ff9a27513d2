"""From a PyTorch network with zeros in it to an image for an array of one engine, or of both."""

from sw.compile.driver import compile_network
from sw.compile.mixed.driver import compile_network as compile_mixed
from sw.compile.result import Result

__all__ = ["Result", "compile_mixed", "compile_network"]
