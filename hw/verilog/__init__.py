"""Verilog that a person can read, from the RTLIL that Amaranth writes.

A module goes through ``rtlil`` (read), ``netlist`` (widths made uniform), ``simplify`` with
``fold`` (constants and duplicates), ``aliases`` (names given back), ``trim`` (what nothing reads),
``writer`` with ``expressions``, ``statements`` and ``names`` (text).

Amaranth's own way, yosys' ``write_verilog``, gives a list of single operations with numbered names,
and lint has much to say about it.
"""
