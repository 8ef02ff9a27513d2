"""Programs for tests: random layers packed without the compiler, and what they must compute.

``random_case`` draws everything; ``random_program`` and ``random_acts`` draw one part and take the
rest as given. ``dense_reference`` computes the outputs a second way, from the unpacked weights.
"""

from dataclasses import dataclass, replace

import numpy as np

from spec.eie.config import EieConfig
from spec.eie.program import Layer, Program
from spec.errors import UserError
from spec.image import unpack
from spec.numbers import choose_multiplier, requantize, signed_bounds
from tests.packing import Plan, cut, pack_layers, pack_passes

DENSITIES = (0.0, 0.01, 0.1, 0.5, 1.0)

PIPELINES = [
    {"scan_pipeline": False, "pe_registers": False},
    {"scan_pipeline": True, "pe_registers": False},
    {"scan_pipeline": True, "pe_registers": True},
]
"""Every way to trade cycles for a faster clock."""


def random_config(rng: np.random.Generator, **fixed: int | bool) -> EieConfig:
    """A small configuration, its widths, depths and switches drawn but for the ``fixed`` ones."""
    act_bits, weight_bits = (int(bits) for bits in rng.integers(3, 17, 2))
    code_bits, run_bits = (int(bits) for bits in rng.integers(1, 6, 2))
    spare = bool(rng.integers(2))
    drawn: dict[str, int | bool] = {
        "pes": int(rng.choice([1, 2, 3, 4, 4, 6, 8, 8])),
        "act_bits": act_bits,
        "weight_bits": weight_bits,
        "multiplier_bits": int(rng.integers(4, 17)),
        "shift_bits": int(rng.integers(5, 7)),
        "lanes": int(rng.choice([1, 1, 1, 1, 2, 4])),
        "code_bits": code_bits,
        "run_bits": run_bits,
        "share_pads": bool(rng.integers(2)),
        "rows": 64,
        "act_rows": 64,
        "columns": 512,
        "biases": 256,
        "layers": 16,
        "codebooks": int(rng.integers(1, 6)),
        "double_buffer": bool(rng.integers(2)),
        "queue_depth": int(rng.integers(1, 9)) + spare,
        "queue_spare": spare,
        "ahead_depth": int(rng.integers(0, 5)),
        "scan_ahead": bool(rng.integers(2)),
        "counter_bits": 32,
        **PIPELINES[rng.integers(len(PIPELINES))],
    } | fixed
    # Some widths have to hold what others make, and clusters divide PEs.
    room = 62 - drawn["multiplier_bits"]
    product = drawn["act_bits"] + drawn["weight_bits"]
    twos = (drawn["pes"] & -drawn["pes"]).bit_length()
    widest = drawn["run_bits"] + int(rng.integers(3))
    drawn |= {
        "acc_bits": min(room, product + int(rng.integers(8, 12))),
        "clusters": 1 << int(rng.integers(min(twos, 4))),
        "run_bits_most": min(8, fixed.get("run_bits_most", widest)),
    }
    entry = drawn["code_bits"] + drawn["run_bits_most"]
    drawn["line_bits"] = fixed.get("line_bits", int(rng.integers(entry, 65)))
    drawn["lines"] = 16384 // (drawn["line_bits"] // entry)
    return EieConfig.from_json(drawn | fixed)


def random_codes(
    rng: np.random.Generator,
    config: EieConfig,
    rows: int,
    columns: int,
    *,
    density: float = 0.1,
    empty_rows: float = 0.0,
    empty_columns: float = 0.0,
    long_runs: float = 0.0,
) -> np.ndarray:
    """A matrix of codebook indices, uint8, shape (rows, columns).

    Parameters
    ----------
    density : float
        Probability that a weight is kept; 0 and 1 are exact.
    empty_rows, empty_columns : float
        Probability that a whole row or column is emptied.
    long_runs : float
        Probability that a column keeps weights only in the last row of each PE: one long run.
    """
    codes = rng.integers(1, config.codes, (rows, columns)) * (rng.random((rows, columns)) < density)
    long = np.flatnonzero(rng.random(columns) < long_runs)
    codes[: max(0, rows - config.pes), long] = 0
    last = codes[-config.pes :, long]
    last[last == 0] = 1
    codes[-config.pes :, long] = last
    codes[rng.random(rows) < empty_rows] = 0
    codes[:, rng.random(columns) < empty_columns] = 0
    return codes.astype(np.uint8)


def random_acts(
    rng: np.random.Generator,
    config: EieConfig,
    images: int,
    inputs: int,
    *,
    density: float = 0.3,
    negative: bool = True,
    single: bool = False,
) -> np.ndarray:
    """A batch of activations, int64, shape (images, inputs), of all magnitudes, extremes included.

    ``density`` 0 and 1 are exact: no activation, or every one, is non-zero. ``single`` leaves
    exactly one non-zero in each image, if ``density`` is above 0.
    """
    low, high = signed_bounds(config.act_bits)
    shift = rng.integers(0, config.act_bits - 1, (images, inputs))
    acts = (rng.integers(1, high, (images, inputs), endpoint=True) >> shift).clip(1)
    if negative:
        acts *= rng.choice([-1, 1], acts.shape)
    acts[rng.random(acts.shape) < 0.02] = low if negative else high
    keep = rng.random(acts.shape) < density
    if single and density > 0:
        keep = np.arange(inputs) == rng.integers(0, inputs, (images, 1))
    return acts * keep


def random_program(
    rng: np.random.Generator,
    config: EieConfig,
    sizes: list[int] | tuple[int, ...],
    *,
    density: float = 0.1,
    empty_rows: float = 0.0,
    empty_columns: float = 0.0,
    long_runs: float = 0.0,
    act_density: float = 0.3,
    relu: bool | None = None,
    tiles: tuple[int, int] = (1, 1),
    split: int | None = None,
    widen: int | None = None,
    orders: bool | None = None,
    segments: bool = False,
    runs: int = 1,
    gaps: bool = False,
    top: bool = False,
) -> Program:
    """Pack random layers of ``sizes[0]`` inputs, then ``sizes[1]``... outputs.

    Parameters
    ----------
    density, empty_rows, empty_columns, long_runs : float
        As for :func:`random_codes`, for every layer.
    act_density : float
        Density that multipliers are chosen for: outputs fill the range and a few saturate.
    relu : bool or None
        Of every layer; None draws it layer by layer.
    tiles : (int, int)
        Passes per layer along outputs and along inputs (at most as many as there are rows of PEs).
    split, widen : int or None
        Of every pass; None draws the one for all passes over the same outputs, the other for each.
    orders : bool or None
        Compute the outputs of every layer in an order of its own; None draws it layer by layer.
    segments : bool
        Give every pass a run of its own, instead of all passes one run, and segments of ``runs``
        runs, the second, fourth and so on at the top of the memories.
    gaps, top : bool
        Leave unused words, filled with rubbish, in front of everything, and put hidden layers
        anywhere in the activation store; put the segment at the top of the memories. Only without
        ``segments``.
    """
    codes = [
        random_codes(
            rng,
            config,
            rows,
            columns,
            density=density,
            empty_rows=empty_rows,
            empty_columns=empty_columns,
            long_runs=long_runs,
        )
        for rows, columns in zip(sizes[1:], sizes[:-1], strict=True)
    ]
    codebooks = _random_codebooks(rng, config, codes)
    acts = random_acts(rng, config, 8, sizes[0], density=act_density)
    plans = []
    for index, matrix in enumerate(codes):
        book = index % len(codebooks)
        plan = _plan(rng, config, acts @ codebooks[book][matrix].T, matrix, book, relu)
        acts = _requantize(config, acts @ codebooks[book][matrix].T + plan.bias, plan)
        plans.append(plan)
    placed = [_order(rng, len(plan.codes), orders) for plan in plans]
    ordered = _permute(plans, placed)
    cuts = [cut(rng, config, plan, tiles, split=split, widen=widen) for plan in ordered]
    if segments:
        packed = pack_passes(config, codebooks, ordered, cuts, runs=runs)
    else:
        packed = pack_layers(config, codebooks, ordered, cuts, gaps=rng if gaps else None, top=top)
    layers = _describe(config, plans)
    return Program(config=config, layers=layers, segments=packed, orders=tuple(placed))


def _order(rng: np.random.Generator, outputs: int, moved: bool | None) -> np.ndarray:
    """An order of outputs, or an empty array: all in place."""
    moved = bool(rng.integers(2)) if moved is None else moved
    return rng.permutation(outputs) if moved else np.zeros(0, np.int64)


def _permute(plans: list[Plan], orders: list[np.ndarray]) -> list[Plan]:
    """Layers with their outputs in these orders, and their inputs as the layer before leaves
    them."""
    permuted, columns = [], slice(None)
    for plan, order in zip(plans, orders, strict=True):
        rows = order if len(order) else slice(None)
        codes = plan.codes[rows][:, columns]
        permuted.append(replace(plan, codes=codes, bias=plan.bias[rows]))
        columns = rows
    return permuted


@dataclass(frozen=True)
class Case:
    """A program and a batch for it."""

    program: Program
    batch: np.ndarray

    @property
    def config(self) -> EieConfig:
        return self.program.config


def random_case(
    rng: np.random.Generator, config: EieConfig | None = None, *, images: int = 3, largest: int = 60
) -> Case:
    """Draw a configuration (unless given), one to three layers, all their options, and a batch.

    ``largest`` bounds the inputs and outputs of a layer; what is too large for the configuration is
    drawn again, smaller.
    """
    config = config or random_config(rng)
    program = _random_fitting(rng, config, min(largest, config.acts, config.rows * config.pes))
    density = float(rng.choice(DENSITIES))
    batch = random_acts(
        rng,
        config,
        images,
        program.inputs,
        density=density,
        negative=bool(rng.integers(2)),
        single=bool(rng.random() < 0.2),
    )
    return Case(program, batch)


def _random_fitting(rng: np.random.Generator, config: EieConfig, largest: int) -> Program:
    """Draw programs, each smaller than the one before, until one fits the configuration."""
    while True:
        sizes = [int(size) for size in rng.integers(1, largest + 1, rng.integers(2, 5))]
        segments = bool(rng.integers(2))
        try:
            return random_program(
                rng,
                config,
                sizes,
                density=float(rng.choice(DENSITIES)),
                empty_rows=float(rng.choice([0.0, 0.3])),
                empty_columns=float(rng.choice([0.0, 0.3])),
                long_runs=float(rng.choice([0.0, 0.2])),
                tiles=(int(rng.integers(1, 3)), int(rng.integers(1, 3))),
                segments=segments,
                runs=int(rng.integers(1, 4)),
                gaps=bool(rng.integers(2)),
                top=bool(rng.integers(2)),
            )
        except UserError:
            if largest == 1:
                raise
            largest = max(1, largest * 4 // 5)


def dense_reference(program: Program, batch: np.ndarray) -> np.ndarray:
    """Outputs, int64, (images, outputs), by plain matrix products with the unpacked weights."""
    return dense_vectors(program, batch)[-1]


def dense_vectors(program: Program, batch: np.ndarray) -> list[np.ndarray]:
    """The batch, and the outputs of every layer, in the network's order."""
    dense = unpack(program)
    vectors = [np.asarray(batch, np.int64)]
    for index, layer in enumerate(program.layers):
        sums = vectors[-1] @ dense[layer.name].T
        outputs = np.zeros_like(sums)
        for _, segment, step in program.passes():
            descriptor = step.descriptor
            if step.layer != index or not descriptor.drain:
                continue
            # An output's bias stands where the output is stored.
            row, pe = np.divmod(np.arange(step.outputs), program.config.pes)
            first = descriptor.bias_base - segment.bases(program.config).biases
            bias = segment.biases[pe, first + row]
            rows = program.order(index)[step.first_output :][: step.outputs]
            outputs[:, rows] = requantize(
                sums[:, rows],
                bias,
                descriptor.multiplier,
                descriptor.shift,
                act_bits=program.config.act_bits,
                relu=descriptor.relu,
            )
        vectors.append(outputs)
    return vectors


def _random_codebooks(
    rng: np.random.Generator, config: EieConfig, codes: list[np.ndarray]
) -> np.ndarray:
    """Values as large as the accumulators bear with any activations, (codebooks, codes)."""
    fullest = max(1, *(int(np.count_nonzero(matrix, axis=1).max()) for matrix in codes), 1)
    low, high = signed_bounds(config.weight_bits)
    largest = min(-low, (1 << config.acc_bits - 2) // (fullest << config.act_bits - 1))
    if largest < 1:
        raise UserError(f"acc_bits = {config.acc_bits} are too few for rows of {fullest} weights")
    shape = (min(config.codebooks, len(codes)), config.codes)
    books = rng.integers(-largest, largest, shape, endpoint=True).clip(low, high)
    books[:, 0] = 0
    books[:, -1] = -largest
    return books


def _plan(
    rng: np.random.Generator,
    config: EieConfig,
    sums: np.ndarray,
    codes: np.ndarray,
    codebook: int,
    relu: bool | None,
) -> Plan:
    """Biases and a requantization under which most of ``sums`` fit and a few saturate."""
    spread = max(2.0, float(sums.std()))
    most = min(int(2 * spread), (1 << config.acc_bits - 2) - 1)
    bias = rng.integers(-most, most, len(codes), endpoint=True)
    bias[rng.random(len(bias)) < 0.1] = 0
    ratio = min(1.0, signed_bounds(config.act_bits)[1] / (3 * spread))
    try:
        multiplier, shift = choose_multiplier(
            ratio, multiplier_bits=config.multiplier_bits, shift_max=config.shift_max
        )
    except UserError:  # the ratio is below what the configuration's shift reaches
        multiplier, shift = 1, config.shift_max
    relu = bool(rng.integers(2)) if relu is None else relu
    return Plan(codes, codebook, bias, multiplier, shift, relu)


def _requantize(config: EieConfig, sums: np.ndarray, plan: Plan) -> np.ndarray:
    return requantize(
        sums, 0, plan.multiplier, plan.shift, act_bits=config.act_bits, relu=plan.relu
    )


def _describe(config: EieConfig, plans: list[Plan]) -> tuple[Layer, ...]:
    """Layers with scales that follow from each other: an input of 1.0 is the largest activation."""
    layers, scale, weight_scale = [], 2.0 ** (1 - config.act_bits), 0.01
    for index, plan in enumerate(plans):
        output_scale = scale * weight_scale * 2.0**plan.shift / plan.multiplier
        layer = Layer(
            name=f"layer{index}",
            inputs=plan.codes.shape[1],
            outputs=plan.codes.shape[0],
            input_scale=scale,
            weight_scale=weight_scale,
            output_scale=output_scale,
            relu=plan.relu,
            weights=int(np.count_nonzero(plan.codes)),
        )
        layers.append(layer)
        scale = output_scale
    return tuple(layers)
