"""Activation buffer: the lines of two blocks, each input of a line with an address of its own."""

from amaranth import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.memory import Ram
from hw.nm.payloads import LineWrite, addresses_layout, column_layout
from spec.nm.config import BANKS, NmConfig


class ActBuffer(wiring.Component):
    """One block is computed from while the next one is loaded.

    Every input of a line has a memory (several, if its activations of all columns are wider than a
    word of the load stream). The bank is the lowest bit of an address. With ``pipeline`` words are
    written a cycle later, which is soon enough.

    Attributes
    ----------
    latency : int
        Cycles from addresses to ``o``: 1.

    Members
    -------
    write : words from the loader
    read_enable, read_bank, addresses : In
        From gather.
    o : Out
        What each column takes of the line.
    """

    latency = Ram.latency

    def __init__(self, config: NmConfig):
        self.config = config
        super().__init__(
            {
                "write": In(LineWrite(config)),
                "read_enable": In(1),
                "read_bank": In(1),
                "addresses": In(addresses_layout(config)),
                "o": Out(data.ArrayLayout(column_layout(config), config.columns)),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        width = min(config.lane_bits, config.load_bits)
        in_word, in_lane = config.load_bits // width, config.lane_bits // width
        line, write = [], self.write
        if config.pipeline:
            write = wiring.PureInterface(LineWrite(config), path=("late",))
            for name in write.signature.members:
                m.d.sync += getattr(write, name).eq(getattr(self.write, name))
        for number in range(config.line_bits // width):
            m.submodules[f"lane{number}"] = lane = Ram(width, BANKS * config.act_lines)
            word, part = divmod(number, in_word)

            # Write the parts of a word side by side.
            m.d.comb += [
                lane.write_enable.eq(write.enable & (write.word == word)),
                lane.write_address.eq(Cat(write.bank, write.line)),
                lane.write_data.eq(write.data[part * width : (part + 1) * width]),
            ]

            # Read each input at its own address.
            m.d.comb += [
                lane.read_enable.eq(self.read_enable),
                lane.read_address.eq(Cat(self.read_bank, self.addresses[number // in_lane])),
            ]
            line.append(lane.read_data)

        # Sort by columns.
        whole, slot = Signal(config.line_bits), config.act_slot_bits
        m.d.comb += whole.eq(Cat(line))
        for column in range(config.columns):
            for k in range(config.line_inputs):
                at = (k * config.columns + column) * slot
                m.d.comb += self.o[column][k].eq(whole[at : at + config.act_bits])
        return m
