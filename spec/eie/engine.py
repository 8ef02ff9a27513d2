"""The EIE engine, as whoever handles programs of every engine takes it."""

from spec.eie.checks import check_fits
from spec.eie.document import from_document, to_document
from spec.eie.golden import check_batch
from spec.eie.program import Program
from spec.eie.summary import inspect, table, unpack
from spec.engine import Engine

EIE = Engine(
    name="eie",
    program=Program,
    to_document=to_document,
    from_document=from_document,
    check_fits=check_fits,
    check_batch=check_batch,
    unpack=unpack,
    inspect=inspect,
    table=table,
)
