"""An N:M program in an image file: metadata and tensors, and back."""

from dataclasses import asdict
from typing import Any

import numpy as np

from spec.errors import UserError
from spec.nm.config import NmConfig
from spec.nm.program import TENSORS, Layer, Program, Weights
from spec.nm.unfold import MaxPool, Unfold
from spec.typed import build, flag


def to_document(program: Program) -> tuple[dict, dict[str, np.ndarray]]:
    """Metadata (JSON-ready) and tensors."""
    document = {
        "config": program.config.to_json(),
        "config_digest": program.config.digest,
        "layers": [asdict(layer) for layer in program.layers],
        "chained": program.chained,
    }
    tensors = {
        f"layer{number}.{name}": np.ascontiguousarray(getattr(weights, name).astype(kind))
        for number, weights in enumerate(program.weights)
        for name, kind in TENSORS.items()
    }
    return document, tensors


def from_document(document: dict, tensors: dict[str, np.ndarray]) -> Program:
    """The inverse of :func:`to_document`; :class:`UserError` if anything is amiss."""
    try:
        config = NmConfig.from_json(document["config"])
        if config.digest != document["config_digest"]:
            raise UserError("its configuration does not have the digest that it states")
        layers = tuple(_layer(values) for values in document["layers"])
        weights = tuple(_weights(tensors, number) for number in range(len(layers)))
        chained = flag(document, "chained")
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"the image's metadata is incomplete or wrong ({error})") from None
    return Program(config=config, layers=layers, weights=weights, chained=chained)


def _layer(values: dict[str, Any]) -> Layer:
    windows = {
        name: None if values[name] is None else kind.from_json(values[name])
        for name, kind in (("unfold", Unfold), ("pool", MaxPool))
    }
    return build(Layer, values | windows)


def _weights(tensors: dict[str, np.ndarray], number: int) -> Weights:
    found = {name: tensors[f"layer{number}.{name}"] for name in TENSORS}
    for name, kind in TENSORS.items():
        if found[name].dtype != kind:
            raise TypeError(f"layer{number}.{name} is {found[name].dtype}")
    return Weights(**found | {"order": found["order"].astype(np.int64)})
