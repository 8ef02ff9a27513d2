"""Verilog that a person can read, from the RTLIL that Amaranth writes.

``rtlil`` reads, ``netlist`` holds one module and folds what is constant (``fold``), ``aliases`` gives names back,
``trim`` cuts what nothing reads, ``writer`` writes, with ``expressions``, ``statements`` and ``names``.
"""
