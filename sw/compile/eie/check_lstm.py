"""References of networks that may have LSTMs: the whole network after each step of the compiler.

A fully connected layer works on each step of a sequence by itself.
"""

from collections.abc import Callable, Sequence

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.golden import GoldenModel
from spec.eie.program import Program
from sw.compile.eie.check import run_integer_weights, run_integers, run_shared
from sw.compile.eie.integer_lstm import IntegerLstm, run_integers_lstm
from sw.compile.eie.quantize import IntegerLayer
from sw.compile.eie.share import SharedLayer, SharedLstm

AnyShared = SharedLayer | SharedLstm
AnyInteger = IntegerLayer | IntegerLstm


def run_shared_recurrent(layers: Sequence[AnyShared], batch: np.ndarray) -> np.ndarray:
    """Run on shared weights in float64."""
    return _run(layers, batch, run_shared, lambda layer, acts: layer.as_float()(acts))


def run_integer_weights_recurrent(layers: Sequence[AnyInteger], batch: np.ndarray) -> np.ndarray:
    """Run on integer weights and biases, but real activations and states."""
    return _run(layers, batch, run_integer_weights, lambda layer, acts: layer.as_float()(acts))


def run_integers_recurrent(
    layers: Sequence[AnyInteger], batch: np.ndarray, config: EieConfig
) -> np.ndarray:
    """The dense integer reference: what an array and its host must compute.

    Integers of shape (samples, inputs), or (samples, steps, inputs) of sequences, to the last
    layer's integer outputs: those of every step, or of the last one.
    """
    return _run(
        layers, batch, lambda plain, acts: run_integers(plain, acts, config), run_integers_lstm
    )


def check_recurrent(
    program: Program,
    layers: Sequence[AnyInteger],
    batch: np.ndarray,
    tick: Callable[[int], object] = lambda samples: None,
) -> np.ndarray:
    """Run integer sequences on the packed image; returns its integer outputs.

    Raises
    ------
    RuntimeError
        If they are not exactly those of the dense reference.
    """
    outputs, _ = GoldenModel(program).run(batch, tick)
    if not np.array_equal(outputs, run_integers_recurrent(layers, batch, program.config)):
        raise RuntimeError("internal error: the packed image of an LSTM computes other bits")
    return outputs


def _run(layers: Sequence, batch: np.ndarray, plain: Callable, lstm: Callable) -> np.ndarray:
    """Layer after layer: ``plain`` takes a list of one and samples, ``lstm`` one and sequences."""
    for layer in layers:
        if isinstance(layer, SharedLstm | IntegerLstm):
            batch = lstm(layer, batch)
        else:
            outputs = plain([layer], batch.reshape(-1, batch.shape[-1]))
            batch = outputs.reshape(*batch.shape[:-1], -1)
    return batch
