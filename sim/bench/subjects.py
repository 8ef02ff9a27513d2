"""What ``sim.bench compare`` runs: layers of random weights, and trained networks."""

from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist

import numpy as np

from sim.bench.gemms import SEED, Gemm, gemm, is_size, names
from sim.bench.subject import Chain, Subject, of_network
from sim.bench.transformer import Transformer
from spec.errors import UserError
from spec.files import read_array
from sw.compile.capture import capture
from sw.compile.network import FloatLayer, Network
from sw.compress.data import digits
from sw.compress.recipe import trained_lenet

NONZERO = {"relu": 0.35, "full": 1.0}
"""Density of a layer's activations: behind a ReLU, as in EIE's convolutional networks, and of a
transformer, where none is zero."""

CALIBRATION = 64
"""Tokens that a layer's ranges are measured on, others than those that it runs on."""

PICTURES = 512
"""Training pictures that a trained network's are measured on."""

ENDINGS = (".pt2", ".pt", ".pth", ".safetensors")


def layer(size: Gemm, acts: str) -> Chain:
    """A layer with random weights on random activations, of a kind of :data:`NONZERO`."""
    one = FloatLayer(
        name=size.name,
        weight=size.weight().astype(np.float64),
        bias=np.zeros(size.outputs),
        relu=False,
    )
    rng = np.random.default_rng([SEED, size.inputs, size.tokens, list(NONZERO).index(acts)])
    batch = _activations(rng, size.tokens, size.inputs, NONZERO[acts])
    return Chain(
        size.name,
        {
            "outputs": size.outputs,
            "inputs": size.inputs,
            "tokens": size.tokens,
            "acts": acts,
            "nonzero": float(np.count_nonzero(batch) / batch.size),
            "weights": "random, normally distributed",
        },
        Network(layers=(one,)),
        _activations(rng, CALIBRATION, size.inputs, NONZERO[acts]),
        batch,
    )


def _activations(rng: np.random.Generator, tokens: int, inputs: int, density: float) -> np.ndarray:
    """Normally distributed, and behind a ReLU that leaves that part of them."""
    values = rng.standard_normal((tokens, inputs))
    return values if density == 1 else np.maximum(values - NormalDist().inv_cdf(1 - density), 0)


def lenet() -> Chain:
    """The demo's network as trained, dense, on the digits that it was not trained on."""
    data = digits()
    network = trained_lenet(data, seed=SEED)
    calibration = data.train_images[:PICTURES].flatten(1).numpy()
    return of_network(
        "lenet-300-100",
        capture(network, calibration),
        calibration,
        data.test_images.flatten(1).numpy(),
        data.test_labels.numpy(),
        f"LeNet-300-100, trained dense on {data.name}",
    )


MODELS: dict[str, Callable[[], Subject]] = {"lenet-300-100": lenet, "minilm": Transformer}
"""Networks by name; made when asked for."""


def subjects(
    name: str,
    calibrate: str | None = None,
    inputs: str | None = None,
    labels: str | None = None,
) -> list[Subject]:
    """What a name stands for: a layer (with both kinds of activations), a network of ours, or the
    user's in a file.

    Parameters
    ----------
    calibrate, inputs, labels : paths of .npy files
        Of a network in a file: samples to measure ranges on, samples to run (default: the same) and
        their classes (default: none).
    """
    from_file = name.endswith(ENDINGS)
    given = [text for text in (calibrate, inputs, labels) if text is not None]
    if given and not from_file:
        raise UserError(f"{given[0]}: samples and labels are for a network in a file, not {name}")
    if from_file:
        if calibrate is None:
            raise UserError(f"{name}: needs sample inputs, --calibrate X.npy")
        return [_from_file(name, calibrate, inputs or calibrate, labels)]
    if name in MODELS:
        return [MODELS[name]()]
    if is_size(name):
        return [layer(gemm(name), acts) for acts in NONZERO]
    raise UserError(
        f"there is no layer or network {name!r}; there are {', '.join([*names(), *MODELS])}, and "
        f"files that end in {', '.join(ENDINGS)}"
    )


def _from_file(name: str, calibrate: str, inputs: str, labels: str | None) -> Chain:
    samples = read_array(calibrate)
    return of_network(
        Path(name).name,
        capture(name, samples),
        samples,
        read_array(inputs),
        None if labels is None else read_array(labels),
        "of the file",
    )
