"""Activation queue: lets a PE fall behind the broadcast by a few columns."""

from hw.eie.payloads import column_layout
from hw.stream_queue import StreamQueue
from spec.eie.config import EieConfig


class ActQueue(StreamQueue):
    """Keeps broadcast columns, in order, until this PE has time for them.

    The broadcast waits while the queue of any PE is full, so its depth decides how much imbalance
    between columns the array evens out.
    """

    def __init__(self, config: EieConfig):
        super().__init__(column_layout(config), config.queue_places)
