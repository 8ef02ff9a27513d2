"""Random configurations, layers and programs of the N:M engine, packed without the compiler."""

from dataclasses import dataclass, replace

import numpy as np

from spec.nm.config import Mode, NmConfig
from spec.nm.pack import Matrix, pack_layer
from spec.nm.program import Layer, Program, Weights
from spec.nm.tiles import keep
from spec.numbers import choose_multiplier, requantize, signed_bounds


@dataclass(frozen=True)
class Case:
    """One layer, what it was made of, and activations for it."""

    program: Program
    matrix: Matrix
    acts: np.ndarray

    @property
    def layer(self) -> Layer:
        return self.program.layers[0]

    def expected(self) -> np.ndarray:
        """A plain product of matrices, requantized; int64, shape (tokens, outputs)."""
        sums = self.acts.astype(np.int64) @ self.matrix.dense.astype(np.int64).T
        rows = [
            requantize(
                sums[:, row],
                int(self.matrix.bias[row]),
                int(self.matrix.multiplier[row]),
                int(self.matrix.shift[row]),
                act_bits=self.program.config.act_bits,
                relu=self.layer.relu,
            )
            for row in range(sums.shape[1])
        ]
        return np.stack(rows, axis=1)


def random_config(rng: np.random.Generator, **fixed: int) -> NmConfig:
    """A small configuration; widths, sizes and groups drawn but for the ``fixed`` ones."""
    m = int(rng.choice([1, 2, 4, 4, 8]))
    weight_bits, act_bits = int(rng.integers(2, 9)), int(rng.choice([2, 4, 8, 8, 11, 16]))
    acc_bits = weight_bits + act_bits + int(rng.integers(9, 12))
    shift_bits = int(rng.integers(3, 7))
    drawn = {
        "rows": int(rng.choice([1, 2, 4, 8])),
        "columns": int(rng.choice([1, 2, 4])),
        "n": int(rng.choice([one for one in (1, 2, 4) if one <= m])),
        "m": m,
        "groups": int(rng.choice([1, 1, 2])),
        "weight_bits": weight_bits,
        "act_bits": act_bits,
        "acc_bits": acc_bits,
        "multiplier_bits": int(rng.integers(2, min(17, 65 - acc_bits - shift_bits))),
        "shift_bits": shift_bits,
        "weight_steps": 96,
        "act_lines": int(rng.integers(48, 200)),
        "gather_lines": 48,
        "load_bits": int(rng.choice([64, 64, 128, 256, 512])),
        "pipeline": bool(rng.integers(2)),
        "logic_multipliers": int(rng.integers(2)),
        "counter_bits": 32,
    }
    return NmConfig(**(drawn | fixed))


def config_with_small_banks(rng: np.random.Generator, **fixed: int) -> NmConfig:
    """Banks of the weight buffer hold a line or little more, so that strips are cut into parts."""
    config = random_config(rng, gather_lines=int(rng.integers(1, 5)), **fixed)
    line = max(config.phases(mode) for mode in config.modes)
    return replace(config, weight_steps=line + int(rng.integers(5)))


def random_rows(rng: np.random.Generator, shape: tuple[int, int], mode: Mode, bits: int):
    """Integer rows in a pattern, also with groups that are emptier than it allows."""
    rows, inputs = shape
    low, high = signed_bounds(bits)
    groups = -(-inputs // mode.m)
    dense = rng.integers(low, high + 1, (rows, groups, mode.m))
    # Extremes often, zeros sometimes.
    dense[rng.random(dense.shape) < 0.1] = low
    rank = rng.random(dense.shape).argsort(axis=2).argsort(axis=2)
    dense[rank >= rng.choice([mode.n, mode.n, max(0, mode.n - 1)], (rows, groups, 1))] = 0
    return dense.reshape(rows, -1)[:, :inputs]


def random_matrix(rng: np.random.Generator, config: NmConfig, dense: np.ndarray) -> Matrix:
    """Weights with parameters that suit them, some with any: most of these saturate."""
    outputs = len(dense)
    low, high = signed_bounds(config.acc_bits)
    suited = fitting(rng, config, dense)
    wild = rng.random(outputs) < 0.3
    return Matrix(
        dense=dense,
        bias=np.where(wild, rng.integers(low // 4, high // 4 + 1, outputs), suited.bias),
        multiplier=np.where(
            wild, rng.integers(0, 1 << config.multiplier_bits, outputs), suited.multiplier
        ),
        shift=np.where(wild, rng.integers(0, config.shift_max + 1, outputs), suited.shift),
    )


def fitting(rng: np.random.Generator, config: NmConfig, dense: np.ndarray) -> Matrix:
    """Weights with small biases, and factors under which results fill their range and a few
    saturate."""
    norms = np.sqrt((dense.astype(float) ** 2).sum(axis=1)).clip(1, 2.0**config.shift_max)
    bits = {"multiplier_bits": config.multiplier_bits, "shift_max": config.shift_max}
    factors = [choose_multiplier(1 / norm, **bits) for norm in norms]
    multiplier, shift = np.array(factors, np.int64).T
    return Matrix(
        dense=dense,
        bias=rng.integers(-50, 50, len(dense)),
        multiplier=multiplier,
        shift=shift,
    )


def random_case(
    rng: np.random.Generator,
    config: NmConfig | None = None,
    *,
    mode: Mode | None = None,
    gather: bool | None = None,
    most: int = 30,
    size: tuple[int, int, int] | None = None,
) -> Case:
    """One layer of random size (outputs, inputs, tokens), pattern and kept inputs."""
    config = config or random_config(rng)
    mode = mode or config.modes[rng.integers(len(config.modes))]
    outputs, inputs, tokens = size or (int(one) for one in rng.integers(1, most + 1, 3))
    if gather is None:
        gather = bool(rng.integers(2)) and config.gather_lines > 0
    strips = -(-outputs // config.rows)
    kept = None
    if gather:
        kept = rng.random((strips, inputs)) < rng.choice([0.2, 0.5, 1.0])
        kept[:, rng.integers(inputs)] = True
        dense = np.zeros((strips * config.rows, inputs), np.int64)
        for strip, one in enumerate(kept):
            places = keep(config, one)
            shape = (config.rows, places.positions)
            compact = random_rows(rng, shape, mode, config.weight_bits)
            used = places.inputs >= 0
            span = slice(strip * config.rows, (strip + 1) * config.rows)
            dense[span, places.inputs[used]] = compact[:, used]
        dense = dense[:outputs]
    else:
        dense = random_rows(rng, (outputs, inputs), mode, config.weight_bits)
    # The array computes in a random order; `dense` is in the array's, the matrix in the network's.
    order = rng.permutation(outputs) if rng.integers(2) else None
    if order is not None:
        dense = dense[np.argsort(order)]
    matrix = random_matrix(rng, config, dense)
    layer, weights = pack_layer(
        config, "layer", matrix, mode, kept=kept, order=order, relu=bool(rng.integers(2))
    )
    low, high = signed_bounds(config.act_bits)
    acts = rng.integers(low, high + 1, (tokens, inputs))
    acts[rng.random(acts.shape) < 0.1] = low
    return Case(program_of(config, (layer, weights)), matrix, acts)


def program_of(config: NmConfig, *layers: tuple[Layer, Weights], chained: bool = True) -> Program:
    return Program(
        config=config,
        layers=tuple(layer for layer, _ in layers),
        weights=tuple(weights for _, weights in layers),
        chained=chained,
    )
