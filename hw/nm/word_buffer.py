"""A section of a strip, two banks of it: written in words of the load stream, read in items."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.memory import Ram
from hw.nm.payloads import ItemRead
from spec.config import bits_for
from spec.nm.config import BANKS
from spec.nm.words import words_for


class WordBuffer(wiring.Component):
    """Keeps fields of a strip that are read together: an item.

    An item that is wider than a word lies in memories beside each other; of narrower ones several
    share a word. All memories are as wide as a word. The bank is the lowest bit of an address.

    Parameters
    ----------
    item_bits, load_bits : int
        Widths of an item and of a word, powers of two.
    items : int
        That a bank holds.

    Attributes
    ----------
    latency : int
        Cycles from ``read`` to its data: 1.

    Members
    -------
    write_enable, write_bank, write_index, write_data : In
        A word, and its number in the section.
    read : In
    """

    latency = Ram.latency

    def __init__(self, *, item_bits: int, items: int, load_bits: int):
        self.item_bits = item_bits
        self.load_bits = load_bits
        self.beside = max(1, item_bits // load_bits)
        self.together = max(1, load_bits // item_bits)
        self.depth = -(-items // self.together)
        words = words_for(items, item_bits, load_bits)
        super().__init__(
            {
                "write_enable": In(1),
                "write_bank": In(1),
                "write_index": In(bits_for(words - 1)),
                "write_data": In(load_bits),
                "read": In(ItemRead(items, item_bits)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        beside_log2 = self.beside.bit_length() - 1
        together_log2 = self.together.bit_length() - 1
        found = []
        for number in range(self.beside):
            m.submodules[f"words{number}"] = words = Ram(self.load_bits, BANKS * self.depth)

            # Write, into the memory whose turn it is.
            mine = self.write_index[:beside_log2] == number if beside_log2 else 1
            m.d.comb += [
                words.write_enable.eq(self.write_enable & mine),
                words.write_address.eq(Cat(self.write_bank, self.write_index[beside_log2:])),
                words.write_data.eq(self.write_data),
            ]

            # Read all memories at once.
            m.d.comb += [
                words.read_enable.eq(self.read.enable),
                words.read_address.eq(Cat(self.read.bank, self.read.item[together_log2:])),
            ]
            found.append(words.read_data)

        # Pick the item out of its word.
        parts = [Cat(found)]
        if together_log2:
            place = Signal(together_log2)
            with m.If(self.read.enable):
                m.d.sync += place.eq(self.read.item)
            bits = self.item_bits
            parts = [parts[0][bits * k : bits * (k + 1)] for k in range(self.together)]
            for bit in range(together_log2):
                parts = [Mux(place[bit], b, a) for a, b in zip(*[iter(parts)] * 2, strict=True)]
        m.d.comb += self.read.data.eq(parts[0])
        return m
