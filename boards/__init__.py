"""Boards: pins, clocks, presets, the serial device and bitstreams, one module a board.

A board puts an emitted engine behind its shell onto an FPGA, and shows it to the host as one more
``Device`` that is held to the golden model like every simulator. It may import ``hw``, ``sim``,
``sw.host`` and ``spec``; its packages come with the extra ``skipstone[boards]``.
"""
