"""The layers of the N:M benchmarks: products of matrices, by name, with weights from a seed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from sim.bench.layers import LAYERS, SEED
from spec.errors import UserError

MOST = 1 << 27
"""Most weights of a layer, and most of its activations."""


@dataclass(frozen=True)
class Gemm:
    """A layer: a matrix (outputs, inputs) times so many tokens."""

    name: str
    outputs: int
    inputs: int
    tokens: int

    def weight(self) -> np.ndarray:
        """Normally distributed, equal for equal sizes; float32, shape (outputs, inputs)."""
        rng = np.random.default_rng([SEED, self.outputs, self.inputs])
        return rng.standard_normal((self.outputs, self.inputs), np.float32)


TOKENS = 128

BERT = {
    name: Gemm(name, outputs, inputs, TOKENS)
    for name, outputs, inputs in (
        ("bert-768x768", 768, 768),
        ("bert-3072x768", 3072, 768),
        ("bert-768x3072", 768, 3072),
    )
}
"""The matrices of BERT-base, outputs x inputs: attention, and both of the feed-forward network."""

PAPER = {name: Gemm(name, one.outputs, one.inputs, 1) for name, one in LAYERS.items()}
"""EIE's nine layers, on one image as there."""


def is_size(name: str) -> bool:
    """Whether a name is that of a layer, whatever its sizes."""
    return name in BERT or name in PAPER or re.fullmatch(r"[0-9]+x[0-9]+x[0-9]+", name) is not None


def gemm(name: str) -> Gemm:
    """The layer of a name; OUTPUTSxINPUTSxTOKENS names any.

    Raises
    ------
    UserError
        There is no such layer, or it has nothing or too much in it.
    """
    if name in BERT or name in PAPER:
        return BERT[name] if name in BERT else PAPER[name]
    if not is_size(name):
        raise UserError(f"there is no layer {name!r}; there are {', '.join(names())}")
    outputs, inputs, tokens = map(int, name.split("x"))
    if not (outputs and tokens and 0 < inputs * max(outputs, tokens) <= MOST):
        raise UserError(
            f"layer {name}: OUTPUTSxINPUTSxTOKENS must each be at least 1, and outputs times "
            f"inputs, and inputs times tokens, at most {MOST}"
        )
    return Gemm(name, outputs, inputs, tokens)


def gemms(chosen: Iterable[str]) -> list[Gemm]:
    """The layers of several names; see :func:`gemm`."""
    return [gemm(name) for name in chosen]


def names() -> list[str]:
    """What a layer may be called."""
    return [*BERT, *PAPER, "OUTPUTSxINPUTSxTOKENS such as 512x512x64"]
