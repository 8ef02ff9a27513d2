"""What the executors of the N:M engine simulate."""

from hw.nm.engine import NmArray
from sim.design import Design
from sim.recipe import HARNESSES
from sw.host.nm.port import patience_cycles

NM = Design(
    component=NmArray,
    top="nm_array",
    # Together they halve the time that a build takes, and cost few of the cycles per second.
    shared=("nm_mac", "nm_distribute"),
    harness=HARNESSES / "nm.cpp",
    server="sim.nm.cocotb_server",
    patience=patience_cycles,
)
