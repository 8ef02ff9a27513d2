"""Streams that all engines have: those of the host, with requests of fields, and steady ones."""

from collections.abc import Mapping

from amaranth import unsigned
from amaranth.lib import data, stream, wiring

from spec.config import IO_DATA_BITS


def fields_layout(widths: Mapping[str, int]) -> data.StructLayout:
    """Unsigned fields, the first in the lowest bits, as :mod:`spec.fields` packs them."""
    return data.StructLayout({name: unsigned(bits) for name, bits in widths.items()})


def host_streams(write: Mapping[str, int], read: Mapping[str, int]) -> dict[str, wiring.Member]:
    """The host's three streams, as an array has them: requests to write and to read words, whose
    fields are given, and answers to the latter, in order."""
    return {
        "write": wiring.In(stream.Signature(fields_layout(write))),
        "read": wiring.In(stream.Signature(fields_layout(read))),
        "data": wiring.Out(stream.Signature(IO_DATA_BITS)),
    }


def steady(layout) -> stream.Signature:
    """A stream whose taker never makes it wait."""
    return stream.Signature(layout, always_ready=True)
