"""Executors and benches: simulators that run an image, behind the host's Device protocol."""
