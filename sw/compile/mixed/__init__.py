"""The compiler for networks on both engines."""
