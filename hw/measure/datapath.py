"""What N:M costs where it is: the MAC units of an array, and what gives them their activations."""

from amaranth import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.emit import Placed
from hw.nm.array import MacArray
from hw.nm.distribute import Distribute
from hw.nm.payloads import column_layout, sums_layout
from spec.config import bits_for
from spec.nm.config import NmConfig


class Datapath(wiring.Component):
    """An N:M array without buffers, control and requantization, to be measured alone.

    Members
    -------
    lines, at, mode : In
        Of each column, and of a run, as :class:`hw.nm.distribute.Distribute` takes them.
    valid, first, weights, places, hand_over : In
        As :class:`hw.nm.array.MacArray` takes them.
    o : Out
        A row of sums.
    """

    def __init__(self, config: NmConfig):
        self.config = config
        self._array = MacArray(config)
        inner = {
            name: member
            for name, member in self._array.signature.members.items()
            if name not in ("windows", "o")
        }
        super().__init__(
            inner
            | {
                "lines": In(data.ArrayLayout(column_layout(config), config.columns)),
                "at": In(bits_for(config.line_inputs - 1)),
                "mode": In(bits_for(len(config.modes) - 1)),
                "o": Out(sums_layout(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.array = array = self._array
        for column in range(self.config.columns):
            unit = Placed(Distribute(self.config), "nm_distribute")
            m.submodules[f"distribute{column}"] = unit
            m.d.comb += [
                unit.line.eq(self.lines[column]),
                unit.at.eq(self.at),
                unit.settings.mode.eq(self.mode),
                array.windows[column].eq(unit.o),
            ]
        for name in array.signature.members:
            if name not in ("windows", "o"):
                m.d.comb += getattr(array, name).eq(getattr(self, name))
        m.d.comb += self.o.eq(array.o)
        return m
