"""Executors of the EIE array."""
