"""The memory of all engines: one write port, one synchronous read port.

Every shape is emitted as a Verilog module of its own, so that an ASIC user swaps in a compiled
SRAM by replacing one file.
"""

from amaranth import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from hw.platform import EmitPlatform
from hw.verilog.expressions import vector

_VERILOG = """\
// A memory of {depth} words of {width} bits: writes one word and reads one word per cycle.
// A read answers in the next cycle and holds its answer. What a read at the edge that writes the
// same word gives is never used. There is no reset. Replace this module by a macro that does the
// same.
module {name} (
    input wire clk,
    input wire write_enable,
    input wire {address}write_address,
    input wire {word}write_data,
    input wire read_enable,
    input wire {address}read_address,
    output reg {word}read_data
);
  (* no_rw_check *)
  reg {word}memory [0:{last}];

  always @(posedge clk) begin
    if (write_enable) memory[write_address] <= write_data;
    if (read_enable) read_data <= memory[read_address];
  end

`ifndef SYNTHESIS
  // Simulation starts with zeros, hardware with anything.
  integer index;
  initial begin
    for (index = 0; index < {depth}; index = index + 1) memory[index] = {width}'d0;
    read_data = {width}'d0;
  end
`endif
endmodule
"""


class Ram(wiring.Component):
    """A memory of ``depth`` words that writes one word and reads one word per cycle.

    A read answers in the next cycle and holds its answer until the next read. What a read at the
    edge that writes the same word gives is unspecified: Amaranth's simulator gives the word's
    inverse, so that nobody depends on it, emitted Verilog the old word. The words, and the answer
    before the first read, are zero in simulation and anything in hardware: there is no reset. An
    address of ``depth`` or more reads anything; to write there is a mistake of the caller, which
    lands anywhere.

    Parameters
    ----------
    width, depth : int
        Bits of a word; number of words, not necessarily a power of two.
    name : str, optional
        Name of the Verilog module; ``skipstone_ram_<depth>x<width>`` if not given.

    Attributes
    ----------
    latency : int
        Cycles from ``read_address`` to ``read_data``: 1.
    enables : tuple of str
        The ports without which it stands still (:class:`hw.emit.Placed`).

    Members
    -------
    write_enable, write_address, write_data : In
    read_enable, read_address : In
    read_data : Out
    """

    latency = 1
    enables = ("write_enable", "read_enable")

    def __init__(self, width: int, depth: int, name: str | None = None):
        if width < 1 or depth < 1:
            raise ValueError(f"memory of {depth} words of {width} bits: both must be at least 1")
        self.width = width
        self.depth = depth
        self.module_name = name or f"skipstone_ram_{depth}x{width}"
        address_bits = max(1, (depth - 1).bit_length())
        super().__init__(
            {
                "write_enable": In(1),
                "write_address": In(address_bits),
                "write_data": In(width),
                "read_enable": In(1),
                "read_address": In(address_bits),
                "read_data": Out(width),
            }
        )

    def elaborate(self, platform):
        if isinstance(platform, EmitPlatform):
            return platform.instance(self, self.module_name)
        m = Module()
        m.submodules.memory = words = memory.Memory(shape=self.width, depth=self.depth, init=[])
        write = words.write_port()
        read = words.read_port()
        m.d.comb += [
            write.en.eq(self.write_enable),
            write.addr.eq(self.write_address),
            write.data.eq(self.write_data),
            read.en.eq(self.read_enable),
            read.addr.eq(self.read_address),
        ]
        self._answer(m, read.data, spoil=platform is None)
        return m

    def _answer(self, m: Module, word: Signal, spoil: bool) -> None:
        """Hand on the word; without a platform, which is simulation, a wrong one where none is
        promised."""
        clashed = Signal()
        if spoil:
            with m.If(self.read_enable):
                same = self.read_address == self.write_address
                m.d.sync += clashed.eq(self.write_enable & same)
        m.d.comb += self.read_data.eq(word ^ clashed.replicate(self.width))

    def verilog(self, name: str) -> str:
        """The memory as the Verilog module ``name``."""
        return _VERILOG.format(
            name=name,
            depth=self.depth,
            width=self.width,
            last=self.depth - 1,
            address=vector(len(self.read_address)),
            word=vector(self.width),
        )
