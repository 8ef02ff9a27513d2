"""The emitted shell in Verilator."""
