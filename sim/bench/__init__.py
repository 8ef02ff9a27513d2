"""Benchmarks measure, and write a file under ``results/``; tests check, and time nothing."""
