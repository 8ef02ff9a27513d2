"""Division: joins sectors to the clusters of the running pass."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.eie.count_few import COUNT_BITS, count_few
from hw.eie.lnzd import candidate_layout
from hw.eie.payloads import settings_layout
from spec.config import bits_for
from spec.eie.config import EieConfig


class Division(wiring.Component):
    """Goes on where the detection trees of the sectors end, up to the root of each cluster.

    The scans of a cluster's sectors work in step: all see the cluster's candidate, and send it when
    every sector of the cluster has room. All is combinational.

    Members
    -------
    settings : In
        Of the running pass: how often the array is halved.
    candidates : array of candidates, one of each sector, with the PE counted in the sector
    picked : array of candidates, for each sector that of its cluster, with the PE counted in the
        cluster
    mine : Out
        The sectors whose own candidate is the picked one.
    counts, coming : arrays of counts, one of each sector
        Of its pending non-zeros, and of those in the row behind.
    count_in_all, coming_in_all : arrays, for each sector those of its cluster
    first_pe : array, for each sector
        First PE of its cluster.
    places : In
        The sectors in which every queue has room.
    room : Out
        The sectors in whose cluster every queue has room.
    offered : In
        The sectors whose scan offers a column.
    broadcasts, stalls : Out
        How many clusters send a column in this cycle, and how many have to wait with one.
    """

    def __init__(self, config: EieConfig):
        self.config = config
        clusters = config.clusters
        super().__init__(
            {
                "settings": In(settings_layout(config)),
                "candidates": In(candidate_layout(config)).array(clusters),
                "picked": Out(candidate_layout(config)).array(clusters),
                "mine": Out(clusters),
                "counts": In(COUNT_BITS).array(clusters),
                "coming": In(COUNT_BITS).array(clusters),
                "count_in_all": Out(COUNT_BITS).array(clusters),
                "coming_in_all": Out(COUNT_BITS).array(clusters),
                "first_pe": Out(config.pe_bits).array(clusters),
                "places": In(clusters),
                "room": Out(clusters),
                "offered": In(clusters),
                "broadcasts": Out(bits_for(clusters)),
                "stalls": Out(bits_for(clusters)),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        leads = Signal(config.clusters)

        # Join two by two, up to the whole array.
        picked = [self.candidates[sector] for sector in range(config.clusters)]
        mine = [candidate.found for candidate in picked]
        room = list(self.places)
        counts, coming = ([*ports] for ports in (self.counts, self.coming))
        heights = [(picked, mine, room, counts, coming)]
        for height in range(config.splits):
            mine = [
                own & ~picked[sector >> height ^ 1].found if sector >> height & 1 else own
                for sector, own in enumerate(mine)
            ]
            picked = [
                self._join(m, picked[at], picked[at + 1], height, at)
                for at in range(0, len(picked), 2)
            ]
            room = [room[at] & room[at + 1] for at in range(0, len(room), 2)]
            counts, coming = (
                [
                    count_few(m, f"{name}{height}_{at}", few[at : at + 2])
                    for at in range(0, len(few), 2)
                ]
                for name, few in (("some", counts), ("next", coming))
            )
            heights.append((picked, mine, room, counts, coming))

        # Hand out the clusters of the pass.
        with m.Switch(self.settings.split):
            for height, (picked, mine, room, counts, coming) in enumerate(heights):
                with m.Case(config.splits - height):
                    for sector in range(config.clusters):
                        root = sector >> height
                        m.d.comb += [
                            self.picked[sector].eq(picked[root]),
                            self.mine[sector].eq(mine[sector]),
                            self.first_pe[sector].eq((root << height) * config.sector_pes),
                            self.room[sector].eq(room[root]),
                            self.count_in_all[sector].eq(counts[root]),
                            self.coming_in_all[sector].eq(coming[root]),
                            leads[sector].eq(sector == root << height),
                        ]

        # Count once per cluster.
        m.d.comb += [
            self.broadcasts.eq(sum(self.offered & self.room & leads)),
            self.stalls.eq(sum(self.offered & ~self.room & leads)),
        ]
        return m

    def _join(
        self, m: Module, left: data.View, right: data.View, height: int, at: int
    ) -> data.View:
        """The first candidate of two neighbours of ``2**height`` sectors."""
        joined = Signal(candidate_layout(self.config), name=f"joined{height}_{at}")
        offset = self.config.sector_pes << height
        m.d.comb += [
            joined.found.eq(left.found | right.found),
            joined.beyond.eq(Mux(left.found, left.beyond, right.beyond)),
            joined.pe.eq(Mux(left.found, left.pe, right.pe + offset)),
            joined.values.eq(Mux(left.found, left.values, right.values)),
        ]
        return joined
