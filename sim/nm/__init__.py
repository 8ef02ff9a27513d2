"""Executors of the N:M engine."""
