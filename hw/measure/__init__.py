"""What emitted hardware takes on an FPGA, and how fast its clock may be: yosys and nextpnr."""
