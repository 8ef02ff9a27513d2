"""Useful work: MACs of two non-zeros in a cycle, of an array on a layer of a size that suits it."""

from contextlib import closing
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sim.bench.eie import Machine
from sim.bench.gemms import Gemm
from sim.bench.layers import LAYERS, SEED, draw_layer
from sim.bench.nm_agreement import activations
from sim.bench.patterns import in_groups, random_program
from sim.devices import open_for
from spec.config import Config
from spec.eie.config import EieConfig
from spec.image import Program
from spec.nm.config import Mode, NmConfig
from spec.numbers import signed_bounds
from sw.host.compare import run_on

LIKE = "Alex-7"
"""Of which EIE's layer has the densities."""

FILL = 0.75
"""Of the memory for weights that is filled."""

IMAGES = 8
SIZE = 256
"""Inputs, outputs and tokens of the N:M array's layer, in 2:4."""


class Sample(NamedTuple):
    """A layer for an array.

    Attributes
    ----------
    what : str
        For people.
    program : Program
    acts : int64, shape (images, inputs)
    macs : float
        Products of two non-zeros in all images.
    """

    what: str
    program: Program
    acts: np.ndarray
    macs: float


def useful_work(config: Config) -> tuple[str, float]:
    """What was computed, and the useful MACs in a cycle, by the golden model."""
    one = sample(config)
    with closing(open_for("golden", one.program)) as device:
        counts = run_on(device, one.program, one.acts).counts
    return one.what, one.macs / sum(int(np.sum(each.of("cycles"))) for each in counts)


def sample(config: Config) -> Sample:
    """A layer with random weights, of a size that suits the array's memories, and inputs."""
    if isinstance(config, EieConfig):
        return _for_eie(config)
    assert isinstance(config, NmConfig)
    return _for_nm(config)


def _for_eie(config: EieConfig) -> Sample:
    like = LAYERS[LIKE]
    outputs = config.pes * min(16, config.rows)
    entries = FILL * config.pes * config.lines * config.entries_per_line(config.run_bits)
    most = min(config.columns - 1, config.acts, entries / (outputs * like.weights))
    inputs = int(most) // config.pes * config.pes
    layer = replace(like, inputs=inputs, outputs=outputs)
    drawn = draw_layer("layer", layer, np.random.default_rng(SEED), uneven=False, images=IMAGES)
    program = Machine("board", config).program(drawn)
    what = f"{inputs} x {outputs}, {like.weights:.0%} of the weights, {like.acts:.0%} of the inputs"
    _, high = signed_bounds(config.act_bits)
    acts = np.where(drawn.acts, 1 + drawn.acts % high, 0)
    return Sample(what, program, acts, drawn.macs)


def _for_nm(config: NmConfig) -> Sample:
    layer = Gemm("layer", SIZE, SIZE, SIZE)
    pattern = in_groups(Mode(2, 4))
    program = random_program(layer, pattern, config)
    macs = layer.outputs * layer.inputs * layer.tokens * pattern.density
    return Sample(f"{SIZE} x {SIZE} x {SIZE}, 2:4", program, activations(layer, config), macs)
