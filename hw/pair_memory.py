"""A memory that reads two neighbouring words at once.

Every shape is emitted as a Verilog module of its own, like :class:`hw.memory.Ram`.
"""

from amaranth import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from hw.platform import EmitPlatform
from hw.verilog.expressions import vector

_VERILOG = """\
// A memory of {depth} words of {width} bits: reads a word and the one behind it, or writes one.
// Reads answer in the next cycle and hold their answers. What a read gives in a cycle of a write is
// never used. There is no reset. Replace this module by a macro that does the same.
module {name} (
    input wire clk,
    input wire write_enable,
    input wire {word}write_data,
    input wire read_enable,
    input wire {address}address,
    output reg {word}read_data,
    output reg {word}next_data
);
  wire {address}next_address = address + {address_bits}'d1;
  (* no_rw_check *)
  reg {word}memory [0:{last}];

  always @(posedge clk) begin
    if (write_enable) memory[address] <= write_data;
    if (read_enable) read_data <= memory[address];
    if (read_enable) next_data <= memory[next_address];
  end

`ifndef SYNTHESIS
  // Simulation starts with zeros, hardware with anything.
  integer index;
  initial begin
    for (index = 0; index < {depth}; index = index + 1) memory[index] = {width}'d0;
    read_data = {width}'d0;
    next_data = {width}'d0;
  end
`endif
endmodule
"""


class PairRam(wiring.Component):
    """A memory of ``depth`` words that reads two neighbours per cycle, or writes one word.

    As emitted, one port reads or writes and another one only reads: a block RAM with two ports. Two
    banks of odd and even words do as well. Reads answer in the next cycle and hold their answers
    until the next ones. What a read gives in a cycle of a write is unspecified: Amaranth's
    simulator gives inverses, so that nobody depends on it. Otherwise all is as in
    :class:`hw.memory.Ram`.

    Parameters
    ----------
    width, depth : int
        Bits of a word; number of words, not necessarily a power of two.

    Attributes
    ----------
    latency : int
        Cycles from an address to its data: 1.

    Members
    -------
    write_enable, write_data : In
        Write to ``address``.
    read_enable : In
    address : In
    read_data, next_data : Out
        The word of ``address``, and the one behind it.
    """

    latency = 1

    enables = ("write_enable", "read_enable")

    def __init__(self, width: int, depth: int):
        if width < 1 or depth < 1:
            raise ValueError(f"memory of {depth} words of {width} bits: both must be at least 1")
        self.width = width
        self.depth = depth
        self.module_name = f"skipstone_pair_ram_{depth}x{width}"
        address_bits = max(1, (depth - 1).bit_length())
        super().__init__(
            {
                "write_enable": In(1),
                "write_data": In(width),
                "read_enable": In(1),
                "address": In(address_bits),
                "read_data": Out(width),
                "next_data": Out(width),
            }
        )

    def elaborate(self, platform):
        if isinstance(platform, EmitPlatform):
            return platform.instance(self, self.module_name)
        m = Module()
        m.submodules.memory = words = memory.Memory(shape=self.width, depth=self.depth, init=[])
        write = words.write_port()
        clashed = Signal()
        if platform is None:
            with m.If(self.read_enable):
                m.d.sync += clashed.eq(self.write_enable)
        m.d.comb += [
            write.en.eq(self.write_enable),
            write.addr.eq(self.address),
            write.data.eq(self.write_data),
        ]
        for offset, answer in enumerate((self.read_data, self.next_data)):
            read = words.read_port()
            m.d.comb += [
                read.en.eq(self.read_enable),
                read.addr.eq(self.address + offset),
                answer.eq(read.data ^ clashed.replicate(self.width)),
            ]
        return m

    def verilog(self, name: str) -> str:
        """The memory as the Verilog module ``name``."""
        return _VERILOG.format(
            name=name,
            depth=self.depth,
            width=self.width,
            last=self.depth - 1,
            address=vector(len(self.address)),
            address_bits=len(self.address),
            word=vector(self.width),
        )
