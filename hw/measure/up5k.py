"""Memories as an UP5K has them: single-port RAMs of 16384 words of 16 bits, and block RAMs that
read one word at a time."""

import re
from collections.abc import Mapping

WORDS, BITS = 16384, 16
LEAST_WORDS = 2048
"""Shallower memories stay in block RAMs."""

_SINGLE = """\
// {depth} words of {width} bits: reads one word per cycle, or writes one.
module {name} (
    input wire clk,
    input wire write_enable,
    input wire [{top}:0] write_address,
    input wire [{last}:0] write_data,
    input wire read_enable,
    input wire [{top}:0] read_address,
    output wire [{last}:0] read_data
);
  wire [{top}:0] address = write_enable ? write_address : read_address;
  wire [15:0] word;
  assign read_data = word[{last}:0];

  SB_SPRAM256KA memory (
      .CLOCK(clk),
      .CHIPSELECT(write_enable | read_enable),
      .WREN(write_enable),
      .MASKWREN(4'b1111),
      .ADDRESS({address}),
      .DATAIN({data}),
      .DATAOUT(word),
      .STANDBY(1'b0),
      .SLEEP(1'b0),
      .POWEROFF(1'b1)
  );
endmodule
"""


_BANKS = """\
// {depth} words of {width} bits in two banks: reads a word and the one behind it, or writes one.
module {name} (
    input wire clk,
    input wire write_enable,
    input wire [{last}:0] write_data,
    input wire read_enable,
    input wire [{top}:0] address,
    output wire [{last}:0] read_data,
    output wire [{last}:0] next_data
);
  reg [{last}:0] even [0:{last_of_bank}];
  reg [{last}:0] odd [0:{last_of_bank}];
  reg [{last}:0] even_word, odd_word;
  reg is_odd;
  wire [{top}:0] next_address = address + {address_bits}'d1;

  always @(posedge clk) begin
    if (write_enable && !address[0]) even[address[{top}:1]] <= write_data;
    if (write_enable && address[0]) odd[address[{top}:1]] <= write_data;
    if (read_enable) begin
      even_word <= even[next_address[{top}:1]];
      odd_word <= odd[address[{top}:1]];
      is_odd <= address[0];
    end
  end

  assign read_data = is_odd ? odd_word : even_word;
  assign next_data = is_odd ? even_word : odd_word;
endmodule
"""


def up5k(files: Mapping[str, str]) -> dict[str, str]:
    """The same Verilog files, with memories replaced: deep ones (:class:`hw.memory.Ram`) and those
    that read neighbours (:class:`hw.pair_memory.PairRam`).

    Only for engines that never read and write a deep memory in one cycle, nor need its answer
    behind a write: lines and activations of an EIE array without ``double_buffer``.
    """
    return {name: _swap(name.removesuffix(".v"), text) for name, text in files.items()}


def _swap(name: str, text: str) -> str:
    shape = re.fullmatch(r"skipstone_(pair_)?ram_(\d+)x(\d+)", name)
    if shape is None:
        return text
    depth, width = int(shape[2]), int(shape[3])
    top, last = max(1, (depth - 1).bit_length()) - 1, width - 1
    words = {"name": name, "depth": depth, "width": width, "top": top, "last": last}
    if shape[1] and top:
        return _BANKS.format(**words, last_of_bank=(depth + 1) // 2 - 1, address_bits=top + 1)
    if not shape[1] and LEAST_WORDS <= depth <= WORDS and width <= BITS:
        address = _widen("address", 13 - top)
        return _SINGLE.format(**words, address=address, data=_widen("write_data", BITS - width))
    return text


def _widen(signal: str, zeros: int) -> str:
    return f"{{{zeros}'d0, {signal}}}" if zeros else signal
