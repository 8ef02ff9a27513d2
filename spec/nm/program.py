"""What an image holds for the N:M engine: layers, each with the words of its strips.

A layer is a product ``Y = W X`` of weights (outputs, inputs) with any number of tokens; a run of
the array computes one layer. The host makes the descriptor for its number of tokens
(:func:`spec.nm.descriptor.plan`) and the load stream (:mod:`spec.nm.stream`): strips come from the
image, activations from the layer before. A convolution says how images become tokens
(:mod:`spec.nm.unfold`); one with channel groups is gathered, each strip keeps its groups' inputs.

In an image file (engine ``nm``), ``to_document`` gives the metadata and these tensors::

    layer0.strips  uint64   (words, load_bits / 64)   all strips, see spec.nm.strips
    layer0.scales  float64  (outputs,)                real weight = integer * scale, per output
    layer0.order   uint32   (outputs,) or (0,)        which output is computed as the k-th
"""

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from spec.errors import UserError
from spec.nm.config import Mode, NmConfig
from spec.nm.descriptor import Descriptor, plan
from spec.nm.strips import Strip, steps_of, strip_spans, unpack_strip
from spec.nm.unfold import Unfold

ENGINE = "nm"
"""Name of the engine in an image file."""

TENSORS = {"strips": np.uint64, "scales": np.float64, "order": np.uint32}
"""Tensors of a layer in an image file, and the type of their elements."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer as the host sees it; ``real = integer * scale`` holds for its input and output.

    Attributes
    ----------
    mode : str
        Pattern of its weights, such as ``"2:4"``.
    gather : bool
        Strips drop inputs.
    weights : int
        Weights that are not zero.
    slots : int
        Weights that the pattern keeps, zeros among them included: ``n / m`` of the inputs that are
        kept, summed over the outputs. What the array computes beyond is padding.
    unfold : Unfold or None
        A convolution's windows.
    """

    name: str
    inputs: int
    outputs: int
    mode: str
    gather: bool
    relu: bool
    input_scale: float
    output_scale: float
    weights: int
    slots: int
    unfold: Unfold | None = None

    @property
    def pattern(self) -> Mode:
        return Mode.parse(self.mode)

    @property
    def takes(self) -> int:
        """Values that one image (or token) of its input has."""
        return self.unfold.image_size if self.unfold else self.inputs

    @property
    def gives(self) -> int:
        """Values that one image (or token) of its output has."""
        return self.outputs * (self.unfold.tokens if self.unfold else 1)


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """Arrays of a layer.

    Attributes
    ----------
    strips : uint64, shape (words, limbs)
    scales : float64, shape (outputs,)
        In the network's order.
    order : int64, shape (outputs,) or (0,)
        Output that the array computes as its k-th; empty if all are in place.
    """

    strips: np.ndarray
    scales: np.ndarray
    order: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Program:
    """Layers, ready for an array of one configuration.

    Attributes
    ----------
    chained : bool
        Each layer takes what the one before gives; else the host calls them one by one.
    """

    config: NmConfig
    layers: tuple[Layer, ...]
    weights: tuple[Weights, ...]
    chained: bool = True

    def number(self, name: str) -> int:
        """Number of the layer of a name."""
        names = [layer.name for layer in self.layers]
        if name not in names:
            raise UserError(f"the image has no layer {name!r}; it has {', '.join(names)}")
        return names.index(name)

    def order(self, number: int) -> np.ndarray:
        """``weights[number].order``, written out also where all outputs are in place."""
        order = self.weights[number].order
        return order if len(order) else np.arange(self.layers[number].outputs)

    def in_place(self, number: int, results: np.ndarray) -> np.ndarray:
        """Outputs as the network has them, from those of the array. Last axis."""
        placed = np.empty_like(results)
        placed[..., self.order(number)] = results
        return placed

    @cached_property
    def spans(self) -> tuple[list[slice], ...]:
        """Where each strip of each layer lies in its words."""
        return tuple(
            strip_spans(
                self.config,
                layer.pattern,
                layer.gather,
                -(-layer.outputs // self.config.rows),
                weights.strips,
            )
            for layer, weights in zip(self.layers, self.weights, strict=True)
        )

    def steps(self, number: int) -> np.ndarray:
        """Steps of each strip of a layer; int64."""
        words = self.weights[number].strips
        return np.array([steps_of(words[span]) for span in self.spans[number]], np.int64)

    def strips(self, number: int) -> list[Strip]:
        """A layer's strips, read back out of the words."""
        layer, words = self.layers[number], self.weights[number].strips
        return [
            unpack_strip(self.config, layer.pattern, layer.gather, words[span])
            for span in self.spans[number]
        ]

    def descriptor(self, number: int, tokens: int) -> Descriptor:
        """The run of a layer over some tokens."""
        layer = self.layers[number]
        return plan(
            self.config,
            mode=self.config.mode_number(layer.pattern),
            gather=layer.gather,
            relu=layer.relu,
            outputs=layer.outputs,
            inputs=layer.inputs,
            tokens=tokens,
        )

    # The image file

    def to_document(self) -> tuple[dict, dict[str, np.ndarray]]:
        """Metadata (JSON-ready) and tensors of an image file."""
        document = {
            "engine": ENGINE,
            "config": self.config.to_json(),
            "config_digest": self.config.digest,
            "layers": [asdict(layer) for layer in self.layers],
            "chained": self.chained,
        }
        tensors = {
            f"layer{number}.{name}": np.ascontiguousarray(getattr(weights, name).astype(kind))
            for number, weights in enumerate(self.weights)
            for name, kind in TENSORS.items()
        }
        return document, tensors

    @staticmethod
    def from_document(document: dict, tensors: dict[str, np.ndarray]) -> "Program":
        """The inverse of :meth:`to_document`; :class:`UserError` if anything is amiss."""
        try:
            config = NmConfig.from_json(document["config"])
            if config.digest != document["config_digest"]:
                raise UserError("its configuration does not have the digest that it states")
            layers = tuple(_layer(values) for values in document["layers"])
            weights = tuple(_weights(tensors, number) for number in range(len(layers)))
            chained = document["chained"]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"the image's metadata is incomplete or wrong ({error})") from None
        if not isinstance(chained, bool):
            raise UserError(f"the image's metadata is wrong (chained is {chained!r})")
        return Program(config=config, layers=layers, weights=weights, chained=chained)


def _layer(values: dict[str, Any]) -> Layer:
    kinds = {"str": str, "int": int, "bool": bool, "float": float}
    for field in fields(Layer):
        kind = kinds.get(getattr(field.type, "__name__", ""))
        if kind and type(values[field.name]) is not kind:
            raise TypeError(f"{field.name} is {values[field.name]!r}")
    given = values["unfold"]
    if given is not None:
        given = Unfold.from_json(given)
    return Layer(**{**values, "unfold": given})


def _weights(tensors: dict[str, np.ndarray], number: int) -> Weights:
    found = {name: tensors[f"layer{number}.{name}"] for name in TENSORS}
    for name, kind in TENSORS.items():
        if found[name].dtype != kind:
            raise TypeError(f"layer{number}.{name} is {found[name].dtype}")
    return Weights(
        strips=found["strips"], scales=found["scales"], order=found["order"].astype(np.int64)
    )


def chain_breaks(layers: tuple[Layer, ...]) -> str | None:
    """What keeps layers from being a chain, or nothing."""
    for before, layer in pairwise(layers):
        if layer.takes != before.gives:
            return (
                f"layer {layer.name} takes {layer.takes} values, "
                f"layer {before.name} gives {before.gives}"
            )
    return None


def useful_slots(layer: Layer, tokens: int) -> int:
    """Multiplier slots that a layer needs; ``busy * config.slots`` beyond them are padding: of
    outputs, inputs and tokens to what the array takes, and of banks that keep fewer inputs than
    the fullest."""
    return layer.slots * tokens
