"""An EIE program in an image file: metadata and tensors, and back. ``docs/image.md`` describes them
field by field."""

from dataclasses import asdict

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.descriptor import Descriptor
from spec.eie.lstm import LstmCell
from spec.eie.program import MEMORIES, Layer, Pass, Program, Run, Segment, Slice
from spec.errors import UserError
from spec.typed import build, count, flag


def to_document(program: Program) -> tuple[dict, dict[str, np.ndarray]]:
    """Metadata (JSON-ready) and tensors."""
    tensors = {
        f"segment{number}.{memory}": np.ascontiguousarray(getattr(segment, memory).astype(kind))
        for number, segment in enumerate(program.segments)
        for memory, kind in MEMORIES.items()
    }
    tensors |= {
        f"layer{number}.order": np.ascontiguousarray(order.astype(np.uint32))
        for number, order in enumerate(program.orders)
    }
    document = {
        "config": program.config.to_json(),
        "config_digest": program.config.digest,
        "layers": [asdict(layer) for layer in program.layers],
        "per_step": program.per_step,
        "every_step": program.every_step,
        "segments": [
            {"top": segment.top, "runs": [asdict(run) for run in segment.runs]}
            for segment in program.segments
        ],
    }
    return document, tensors


def from_document(document: dict, tensors: dict[str, np.ndarray]) -> Program:
    """The inverse of :func:`to_document`; :class:`UserError` if anything is amiss."""
    try:
        config = EieConfig.from_json(document["config"])
        if config.digest != document["config_digest"]:
            raise UserError("its configuration does not have the digest that it states")
        segments = tuple(
            Segment(
                runs=tuple(_run(run) for run in entry["runs"]),
                top=flag(entry, "top"),
                **{memory: tensors[f"segment{number}.{memory}"] for memory in MEMORIES},
            )
            for number, entry in enumerate(document["segments"])
        )
        layers = tuple(_layer(layer) for layer in document["layers"])
        names = [f"layer{number}.order" for number in range(len(layers))]
        orders = tuple(_order(tensors[name]) for name in names if name in tensors)
        per_step, every_step = count(document, "per_step"), flag(document, "every_step")
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"the image's metadata is incomplete or wrong ({error})") from None
    return Program(
        config=config,
        layers=layers,
        segments=segments,
        orders=orders,
        per_step=per_step,
        every_step=every_step,
    )


def _layer(values: dict) -> Layer:
    cell = None if values["cell"] is None else LstmCell.from_json(values["cell"])
    return build(Layer, values | {"cell": cell})


def _run(values: dict) -> Run:
    return Run(
        passes=tuple(_pass(step) for step in values["passes"]),
        feed=None if values["feed"] is None else build(Slice, values["feed"]),
        fetch=None if values["fetch"] is None else build(Slice, values["fetch"]),
    )


def _order(tensor: np.ndarray) -> np.ndarray:
    if tensor.dtype != np.uint32:
        raise TypeError(f"an order is {tensor.dtype}")
    return tensor.astype(np.int64)


def _pass(values: dict) -> Pass:
    return build(Pass, values | {"descriptor": build(Descriptor, values["descriptor"])})
