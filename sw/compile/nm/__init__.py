"""The compiler for the N:M engine."""
