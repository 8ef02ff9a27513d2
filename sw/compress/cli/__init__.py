"""The command line of compression: ``python -m sw.compress``."""
