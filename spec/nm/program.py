"""What an image holds for the N:M engine: layers, each with the words of its strips.

A layer is a product ``Y = W X`` of weights (outputs, inputs) with any number of tokens; a run of
the array computes one layer. The host makes the descriptor for its number of tokens
(:func:`spec.nm.descriptor.plan`) and the load stream (:mod:`spec.nm.stream`): strips come from the
image, activations from the layer before. A convolution says how images become tokens
(:mod:`spec.nm.unfold`); one with channel groups may be gathered, where each strip keeps the inputs
of its groups.

An image file holds these tensors::

    layer0.strips         uint64   (words, limbs)      all strips, see spec.nm.strips
    layer0.scales         float64  (outputs,)          real sum = integer * scale, per output
    layer0.input_scales   float64  (features,)         real input = integer * scale, per feature
    layer0.output_scales  float64  (outputs,)          real result = integer * scale, per output
    layer0.order          uint32   (outputs,) or (0,)  which output is computed as the k-th

A feature is an input, or a channel of a convolution's images. A weight is, so, an integer times its
output's ``scales`` by its input's ``input_scales``.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from spec.errors import UserError
from spec.nm.config import Mode, NmConfig
from spec.nm.descriptor import Descriptor, plan
from spec.nm.strips import Strip, steps_of, strip_spans, unpack_strip
from spec.nm.unfold import MaxPool, Unfold

TENSORS = {
    "strips": np.uint64,
    "scales": np.float64,
    "input_scales": np.float64,
    "output_scales": np.float64,
    "order": np.uint32,
}
"""Tensors of a layer in an image file, and the type of their elements."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer as the host sees it.

    Attributes
    ----------
    mode : str
        Pattern of its weights, such as ``"2:4"``.
    gather : bool
        Strips drop inputs.
    weights : int
        Weights that are not zero.
    parts : int
        Parts of each strip: more than one where a bank does not hold all of its steps.
    slots : int
        Weights that the pattern keeps, zeros among them included: ``n`` of every group, or as many
        as it has inputs, summed over the outputs. What the array computes beyond is padding.
    unfold : Unfold or None
        A convolution's windows.
    pool : MaxPool or None
        Pooling behind it.
    """

    name: str
    inputs: int
    outputs: int
    mode: str
    gather: bool
    relu: bool
    weights: int
    slots: int
    parts: int = 1
    unfold: Unfold | None = None
    pool: MaxPool | None = None

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
        return self.outputs * self.places

    @property
    def places(self) -> int:
        """Values of each output in an image (or token) of its output."""
        last = self.pool or self.unfold
        return last.tokens if last else 1

    @property
    def tokens(self) -> int:
        """Tokens that the array computes for one image (or token) of its input."""
        return self.unfold.tokens if self.unfold else 1

    @property
    def features(self) -> int:
        """Inputs, or channels of a convolution: what has an input scale of its own."""
        return self.unfold.channels if self.unfold else self.inputs

    def tokens_of(self, images: np.ndarray) -> np.ndarray:
        """Images (count, takes) as tokens (count * tokens, inputs)."""
        return self.unfold.unfold(images) if self.unfold else images

    def images_of(self, results: np.ndarray) -> np.ndarray:
        """Results (count * tokens, outputs) as images (count, gives), pooled."""
        images = self.unfold.fold(results) if self.unfold else results
        return self.pool(images) if self.pool else images


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """Arrays of a layer.

    Attributes
    ----------
    strips : uint64, shape (words, limbs)
    scales, output_scales : float64, shape (outputs,)
        In the network's order.
    input_scales : float64, shape (features,)
    order : int64, shape (outputs,) or (0,)
        Output that the array computes as its k-th; empty if all are in place.
    """

    strips: np.ndarray
    scales: np.ndarray
    input_scales: np.ndarray
    output_scales: np.ndarray
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
    per_step = 0
    """It takes no sequences."""

    @property
    def inputs(self) -> int:
        """Values of an image."""
        return self.layers[0].takes

    @property
    def outputs(self) -> int:
        """Values of a result."""
        return self.layers[-1].gives

    @property
    def act_bits(self) -> int:
        """Of what it takes."""
        return self.config.act_bits

    @property
    def input_scale(self) -> np.ndarray:
        """``real = integer * scale`` for what the network takes; shape (inputs,)."""
        return self.input_scales(0)

    @property
    def output_scale(self) -> np.ndarray:
        """``real = integer * scale`` for what it gives; shape (outputs,)."""
        return self.output_scales(len(self.layers) - 1)

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

    def input_scales(self, number: int) -> np.ndarray:
        """Scale of every value that a layer takes; float64, shape (takes,)."""
        layer, scales = self.layers[number], self.weights[number].input_scales
        return np.repeat(scales, layer.takes // layer.features)

    def output_scales(self, number: int) -> np.ndarray:
        """Scale of every value that a layer gives; float64, shape (gives,)."""
        return np.repeat(self.weights[number].output_scales, self.layers[number].places)

    def in_place(self, number: int, results: np.ndarray) -> np.ndarray:
        """Outputs as the network has them, from those of the array. Last axis."""
        placed = np.empty_like(results)
        placed[..., self.order(number)] = results
        return placed

    @cached_property
    def spans(self) -> tuple[list[slice], ...]:
        """Where each strip of each layer lies in its words, part by part."""
        return tuple(
            strip_spans(
                self.config,
                layer.pattern,
                layer.gather,
                -(-layer.outputs // self.config.rows) * layer.parts,
                weights.strips,
            )
            for layer, weights in zip(self.layers, self.weights, strict=True)
        )

    def steps(self, number: int) -> np.ndarray:
        """Steps of each strip of a layer, or of each part; int64."""
        words = self.weights[number].strips
        return np.array([steps_of(words[span]) for span in self.spans[number]], np.int64)

    def strips(self, number: int) -> list[Strip]:
        """A layer's strips, part by part, read back out of the words."""
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
            parts=layer.parts,
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
