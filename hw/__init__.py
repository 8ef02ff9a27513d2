"""Hardware in Amaranth, one folder per engine, and the generator that writes it as Verilog."""
