"""The N:M engine, as whoever handles programs of every engine takes it."""

from spec.engine import Engine
from spec.nm.checks import check_fits
from spec.nm.document import from_document, to_document
from spec.nm.golden import check_batch
from spec.nm.program import Program
from spec.nm.summary import inspect, table, unpack

NM = Engine(
    name="nm",
    program=Program,
    to_document=to_document,
    from_document=from_document,
    check_fits=check_fits,
    check_batch=check_batch,
    unpack=unpack,
    inspect=inspect,
    table=table,
)
