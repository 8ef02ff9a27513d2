"""Harness: a component between registers, so that any number of ports can be placed.

A package has some hundred pins, a unit inside of an array thousands of ports. What places and
routes a unit alone needs something around it that neither adds paths of its own nor lets anything
be optimized away.
"""

from amaranth import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.emit import Placed
from hw.platform import flatten

UNIT = "unit"
"""What the component is called within."""


class Harness(wiring.Component):
    """Feeds every input bit from a register of its own, and takes every output bit into one.

    The input registers are one long shift register behind the pin ``i``. Behind the output
    registers stand those of a signature: a shift register into which they are added, and out of
    which ``o`` comes. Neither has more than one gate between two registers, so the slowest path is
    one of the component, or one into or out of it.

    Parameters
    ----------
    component : wiring.Component
    name : str
        Of its Verilog module.

    Members
    -------
    i : In
    o : Out
    """

    def __init__(self, component: wiring.Component, name: str):
        super().__init__({"i": In(1), "o": Out(1)})
        self._placed = Placed(component, name)
        ports = [(Value.cast(port), kind.value) for port, kind in flatten(component).values()]
        self._inputs = [port for port, kind in ports if kind == "input"]
        self._outputs = [port for port, kind in ports if kind == "output"]

    def elaborate(self, platform):
        m = Module()
        m.submodules[UNIT] = self._placed

        # Shift in.
        given = Signal(sum(map(len, self._inputs)))
        m.d.sync += given.eq(Cat(self.i, given))
        m.d.comb += Cat(self._inputs).eq(given)

        # Take over, add up, shift out.
        taken = Signal(sum(map(len, self._outputs)))
        signature = Signal.like(taken)
        m.d.sync += [
            taken.eq(Cat(self._outputs)),
            signature.eq(Cat(self.i, signature) ^ taken),
        ]
        m.d.comb += self.o.eq(signature[-1])
        return m
