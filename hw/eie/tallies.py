"""Tallies: what was done in every cycle of a pass, under the names of the cycle model."""

from amaranth import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.eie.payloads import Phase
from hw.memory import Ram
from spec.config import bits_for
from spec.eie.config import EieConfig
from spec.eie.iomap import array_counter_bits, pe_counter_bits

ROUND_CYCLES = 1 << max(pe_counter_bits(), array_counter_bits())

SETTLE_CYCLES = ROUND_CYCLES + 2
"""Cycles from ``phase.save`` until the host may read: a round, and the ways into it and out."""


class Tallies(wiring.Component):
    """Counts events during a pass, keeps the counts of every pass, and answers the host.

    Only the lowest bits of each count, its *small* counter, count every event. The bits above, its
    *large* counter, are a word of a memory, to which one adder adds the carries: it visits the
    counters in turn, and no small counter carries twice in two rounds. A pass's first round goes
    to carries of the pass before, its second one to zeros for its own large counters; a pass that
    has ended by then has no carries, and its large counters are not looked at.

    Parameters
    ----------
    names : tuple of str
        One counter each, in order of their address.
    widths : dict
        Of the increments that may be more than one.
    bits : int
        Width of a count.

    Members
    -------
    events : In
        What the cycle before adds to each counter; nothing unless a pass is going on in it.
    phase : from central control
        ``computing`` rises in the first cycle that is counted of a pass, and falls before the next;
        a round later ``saved_pass`` is that pass.
    read_enable, read_address : In
        ``pass << k | counter``, not before all counts are settled.
    read_data : Out
        In the next cycle.
    """

    def __init__(
        self,
        config: EieConfig,
        names: tuple[str, ...],
        widths: dict[str, int] | None = None,
        *,
        bits: int,
    ):
        self.config = config
        self.names = names
        self._increments = data.StructLayout(
            {name: unsigned((widths or {}).get(name, 1)) for name in names}
        )
        self.pick_bits = bits_for(len(names) - 1)
        most = max((1 << self._increments[name].width) - 1 for name in names)
        self.small_bits = bits_for((2 << self.pick_bits) * most - 1)
        self.large_bits = max(1, bits - self.small_bits)
        super().__init__(
            {
                "events": In(self._increments),
                "phase": In(Phase(config)),
                "read_enable": In(1),
                "read_address": In(config.layer_bits + self.pick_bits),
                "read_data": Out(bits),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        saved_bits = len(self.names) * self.small_bits + 1
        m.submodules.small = small = Ram(saved_bits, config.layers)
        m.submodules.large = large = Ram(self.large_bits, config.layers << self.pick_bits)
        smalls = [Signal(self.small_bits, name=f"small_{name}") for name in self.names]
        carries = Signal(len(self.names))
        turn = Signal(self.pick_bits)
        zeroing, zeroed = Signal(), Signal(init=1)
        owner = Signal(config.layer_bits)
        computing, save = Signal(), Signal()
        number = Signal(config.layer_bits)

        # Come as late as the events.
        m.d.sync += [
            computing.eq(self.phase.computing),
            save.eq(self.phase.save),
            number.eq(self.phase.saved_pass),
        ]

        self._count(m, smalls, carries, turn, save)
        self._take_turns(m, turn, zeroing, zeroed, owner, number, computing)
        self._add(m, large, carries, turn, zeroing, owner)

        # Save the small counters of the pass that has ended, and whether its large ones are valid.
        m.d.comb += [
            small.write_enable.eq(save),
            small.write_address.eq(number),
            small.write_data.eq(Cat(zeroed | (zeroing & turn.all()), smalls)),
        ]

        # Answer the host.
        pick = Signal(self.pick_bits)
        low = Signal(self.small_bits)
        with m.If(self.read_enable):
            m.d.sync += pick.eq(self.read_address)
        m.d.comb += [
            small.read_enable.eq(self.read_enable),
            small.read_address.eq(self.read_address >> self.pick_bits),
            low.eq(small.read_data[1:].word_select(pick, self.small_bits)),
            self.read_data.eq(Cat(low, Mux(small.read_data[0], large.read_data, 0))),
        ]
        return m

    def _count(self, m: Module, smalls, carries, turn, save) -> None:
        """Count in the small counters; a carry waits for its turn."""
        for index, (name, small) in enumerate(zip(self.names, smalls, strict=True)):
            sum_and_carry = Signal(self.small_bits + 1, name=f"next_{name}")
            kept = Mux(save, 0, small)
            m.d.comb += sum_and_carry.eq(_increase(kept, self.events[name]))
            m.d.sync += small.eq(sum_and_carry)
            with m.If(sum_and_carry[-1]):
                m.d.sync += carries[index].eq(1)
            with m.Elif(turn == index):
                m.d.sync += carries[index].eq(0)

    def _take_turns(self, m: Module, turn, zeroing, zeroed, owner, number, computing) -> None:
        """Come to one counter after the other, of the pass ``owner``; count a pass's rounds."""
        was_computing = Signal()
        m.d.sync += [turn.eq(turn + 1), was_computing.eq(computing)]
        with m.If(computing & ~was_computing):
            m.d.sync += [turn.eq(0), zeroing.eq(0), zeroed.eq(0)]
        with m.Elif(turn.all() & ~zeroed):
            m.d.sync += [owner.eq(number), zeroing.eq(~zeroing), zeroed.eq(zeroing)]

    def _add(self, m: Module, large: Ram, carries, turn, zeroing, owner) -> None:
        """Read a large counter, or begin with zero, and write it a cycle later if it changes."""
        carry, fresh = Signal(), Signal()
        address = Signal.like(large.write_address)
        m.d.comb += [
            large.read_enable.eq(1),
            large.read_address.eq(Mux(self.read_enable, self.read_address, Cat(turn, owner))),
            large.write_enable.eq(carry | fresh),
            large.write_address.eq(address),
            large.write_data.eq(Mux(fresh, 0, large.read_data) + carry),
        ]
        m.d.sync += [
            carry.eq(carries.bit_select(turn, 1)),
            fresh.eq(zeroing),
            address.eq(Cat(turn, owner)),
        ]


def _increase(value: Signal, step: Value) -> Value:
    """Their sum. Of a step of one bit without a chain of carries, which takes more place here."""
    if len(step) > 1:
        return value + step
    carries = [step & value[:bit].all() for bit in range(len(value) + 1)]
    return Cat(Cat(value, 0)[bit] ^ carry for bit, carry in enumerate(carries))
