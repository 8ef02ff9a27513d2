"""Leading non-zero detection: a tree of four-way nodes that finds the first non-zero of a row of
activations."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.eie.payloads import values_layout
from hw.emit import Placed
from spec.eie.config import EieConfig

NODE_INPUTS = 4


def candidate_layout(config: EieConfig) -> data.StructLayout:
    """What travels up the tree: the first non-zero of a group of PEs.

    ``found`` says that there is one; ``pe`` is its index in the group, and ``beyond`` says that it
    stands behind the last column.
    """
    return data.StructLayout(
        {
            "found": 1,
            "beyond": 1,
            "pe": config.pe_bits,
            "values": values_layout(config),
        }
    )


class LnzdNode(wiring.Component):
    """Picks the first of four candidates.

    Attributes
    ----------
    latency : int
        0.

    Members
    -------
    i : array of four candidates, from four PEs or nodes, in order of PE
    o : the first candidate that is found
    """

    latency = 0

    def __init__(self, config: EieConfig):
        layout = candidate_layout(config)
        super().__init__({"i": In(layout).array(NODE_INPUTS), "o": Out(layout)})

    def elaborate(self, platform):
        m = Module()
        found = Cat(candidate.found for candidate in self.i)
        first = Signal(NODE_INPUTS)

        # Pick the first one.
        m.d.comb += [
            first.eq(found & -found),
            self.o.found.eq(found.any()),
            self.o.beyond.eq(_choose(first, [candidate.beyond for candidate in self.i])),
            self.o.pe.eq(_choose(first, [candidate.pe for candidate in self.i])),
            self.o.values.as_value().eq(
                _choose(first, [candidate.values.as_value() for candidate in self.i])
            ),
        ]
        return m


def _choose(one_hot, values):
    """The value whose bit is set, or zero: ANDs and ORs, no multiplexer."""
    chosen = 0
    for select, value in zip(one_hot, values, strict=True):
        chosen = chosen | (select.replicate(len(value)) & value)
    return chosen


class Lnzd(wiring.Component):
    """The tree of a sector: as many levels of nodes as its number of PEs needs, at least one.

    Attributes
    ----------
    latency : int
        0.

    Members
    -------
    acts : array of activations of all lanes, one of each PE
    pending : In
        Which of them are non-zero, and count.
    beyond : In
        Which of them stand behind the last column.
    o : the first one that counts
    """

    latency = 0

    def __init__(self, config: EieConfig):
        self.config = config
        super().__init__(
            {
                "acts": In(values_layout(config)).array(config.sector_pes),
                "pending": In(config.sector_pes),
                "beyond": In(config.sector_pes),
                "o": Out(candidate_layout(config)),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        layout = candidate_layout(config)

        # Every PE is a candidate.
        level = []
        for pe in range(config.sector_pes):
            leaf = Signal(layout, name=f"leaf{pe}")
            m.d.comb += [
                leaf.found.eq(self.pending[pe]),
                leaf.beyond.eq(self.beyond[pe]),
                leaf.pe.eq(pe),
                leaf.values.eq(self.acts[pe]),
            ]
            level.append(leaf)

        # Four become one, until one is left.
        height = 0
        while height == 0 or len(level) > 1:
            level = [
                self._node(m, f"node{height}_{index}", level[at : at + NODE_INPUTS])
                for index, at in enumerate(range(0, len(level), NODE_INPUTS))
            ]
            height += 1
        m.d.comb += self.o.eq(level[0])
        return m

    def _node(self, m: Module, name: str, candidates: list) -> data.View:
        """Place one node; inputs without a candidate stay zero."""
        m.submodules[name] = node = Placed(LnzdNode(self.config), "eie_lnzd_node")
        for port, candidate in zip(node.i, candidates, strict=False):
            m.d.comb += port.eq(candidate)
        return node.o
