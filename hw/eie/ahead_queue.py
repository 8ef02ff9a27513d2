"""Ahead queue: columns with work in them, kept ready for matrix read."""

from hw.eie.payloads import span_layout
from hw.stream_queue import StreamQueue
from spec.eie.config import EieConfig


class AheadQueue(StreamQueue):
    """Lets pointer read run ahead of matrix read, so that dropping empty columns costs no time.

    The published machine has none.
    """

    def __init__(self, config: EieConfig):
        super().__init__(span_layout(config), config.ahead_depth)
