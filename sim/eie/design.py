"""What the executors of the EIE engine simulate."""

from hw.eie.array import EieArray
from sim.design import Design
from sim.recipe import HARNESSES
from sw.host.eie.port import patience_cycles

EIE = Design(
    component=EieArray,
    top="eie_array",
    shared=("eie_pe",),
    harness=HARNESSES / "eie.cpp",
    server="sim.eie.cocotb_server",
    patience=patience_cycles,
)
