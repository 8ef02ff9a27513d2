"""The EIE engine's part of the compiler: share, quantize, balance, tile, pack."""
