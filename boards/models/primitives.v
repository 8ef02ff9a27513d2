// What the primitives around a board's design do in simulation, as far as the virtual board needs
// it: buffers pass, and a PLL gives its reference as it is, so that a cycle is one of the design's.

/* verilator lint_off DECLFILENAME */
/* verilator lint_off UNUSED */
/* verilator lint_off UNDRIVEN */
/* verilator lint_off PINMISSING */

// ECP5

module IB (input I, output O);
  assign O = I;
endmodule

module OB (input I, output O);
  assign O = I;
endmodule

module OBZ (input I, T, output O);
  assign O = I & ~T;
endmodule

module EHXPLLL (
    input CLKI, CLKFB, RST, STDBY, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PHASELOADREG,
    input PLLWAKESYNC, ENCLKOP,
    output CLKOP, LOCK
);
  parameter CLKI_DIV = 1, CLKFB_DIV = 1, CLKOP_DIV = 1, CLKOP_CPHASE = 0, CLKOP_FPHASE = 0;
  parameter CLKOP_ENABLE = "", FEEDBK_PATH = "", OUTDIVIDER_MUXA = "", PLLRST_ENA = "";
  parameter INTFB_WAKE = "", STDBY_ENABLE = "", DPHASE_SOURCE = "";
  assign CLKOP = CLKI;
  assign LOCK = 1'b1;
endmodule

module FD1S3BX (input CK, D, PD, output reg Q);
  initial Q = 1'b1;
  always @(posedge CK) Q <= PD | D;
endmodule

// iCE40

module SB_PLL40_PAD (
    input PACKAGEPIN, RESETB, BYPASS,
    output PLLOUTGLOBAL, LOCK
);
  parameter FEEDBACK_PATH = "", PLLOUT_SELECT = "";
  parameter DIVR = 0, DIVF = 0, DIVQ = 0, FILTER_RANGE = 0;
  assign PLLOUTGLOBAL = PACKAGEPIN;
  assign LOCK = 1'b1;
endmodule

module SB_IO (input D_OUT_0, OUTPUT_ENABLE, output D_IN_0, inout PACKAGE_PIN);
  parameter PIN_TYPE = 6'b000000, PULLUP = 1'b0, IO_STANDARD = "";
  assign D_IN_0 = PACKAGE_PIN;
  generate
    if (PIN_TYPE[5:4] != 2'b00) assign PACKAGE_PIN = D_OUT_0;
  endgenerate
endmodule

module SB_SPRAM256KA (
    input CLOCK, CHIPSELECT, WREN, STANDBY, SLEEP, POWEROFF,
    input [3:0] MASKWREN,
    input [13:0] ADDRESS,
    input [15:0] DATAIN,
    output reg [15:0] DATAOUT
);
  reg [15:0] words [0:16383];
  always @(posedge CLOCK)
    if (CHIPSELECT & WREN) words[ADDRESS] <= DATAIN;
    else if (CHIPSELECT) DATAOUT <= words[ADDRESS];
endmodule
