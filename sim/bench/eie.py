"""The paper's nine layers: how many cycles they take on the published machine and on ours, and why.

Sizes and densities are those of Han et al., ISCA 2016, Table III; zeros stand at random, from a
seed. Two sets: ``random``, all rows and columns alike, and ``uneven``, where the densities of rows
and of columns are log-normal with sigma 0.6 around the same mean, as in real networks.

The paper's times (Table IV, times 800 MHz) stand beside. They are not to be hit from these sizes:
the table's densities are rounded, and its VGG-6 time needs twice the density that it states.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from spec.eie.config import EieConfig, preset
from spec.eie.counters import ARRAY_COUNTERS, LOST, PE_COUNTERS
from spec.eie.golden import GoldenModel
from spec.eie.program import Program
from spec.errors import UserError
from sw.compile.pack import pack_network
from sw.compile.quantize import IntegerLayer
from sw.compile.tile import tile_network

SEED = 1
SIGMA = 0.6
MHZ = 800
PRESETS = ("isca16", "default")
SETS = ("random", "uneven")


@dataclass(frozen=True)
class PaperLayer:
    """A row of the paper's tables: densities of weights and activations, and its time in us."""

    inputs: int
    outputs: int
    weights: float
    acts: float
    published_us: float


LAYERS = {
    "Alex-6": PaperLayer(9216, 4096, 0.09, 0.351, 30.3),
    "Alex-7": PaperLayer(4096, 4096, 0.09, 0.353, 12.2),
    "Alex-8": PaperLayer(4096, 1000, 0.25, 0.375, 9.9),
    "VGG-6": PaperLayer(25088, 4096, 0.04, 0.183, 34.4),
    "VGG-7": PaperLayer(4096, 4096, 0.04, 0.375, 8.7),
    "VGG-8": PaperLayer(4096, 1000, 0.23, 0.411, 8.4),
    "NT-We": PaperLayer(4096, 600, 0.10, 1.0, 8.0),
    "NT-Wd": PaperLayer(600, 8791, 0.11, 1.0, 13.9),
    "NT-LSTM": PaperLayer(1201, 2400, 0.10, 1.0, 7.5),
}


def run(names: Sequence[str] = (), pes: int = 64) -> dict:
    """Predict every layer of both sets on both presets; the result file's contents.

    Parameters
    ----------
    names : sequence of str
        Layers of :data:`LAYERS`; all by default.
    pes : int
        Processing elements of both presets.
    """
    for name in names:
        if name not in LAYERS:
            raise UserError(f"there is no layer {name!r}; there are {', '.join(LAYERS)}")
    configs = {name: preset(name, pes=pes) for name in PRESETS}
    jobs = [(kind, name) for kind in SETS for name in names or LAYERS]
    layers = [_measure(kind, name, configs) for kind, name in tqdm(jobs, "layers", leave=False)]
    return {
        "command": "python -m sim.bench eie",
        "device": "golden",
        "seed": SEED,
        "pes": pes,
        "config_digests": {name: config.digest for name, config in configs.items()},
        "layers": layers,
        "geomean_utilization": {
            kind: {name: _geomean(layers, kind, name) for name in PRESETS} for kind in SETS
        },
    }


def _measure(kind: str, name: str, configs: dict[str, EieConfig]) -> dict:
    """One layer of one set, on every preset."""
    paper = LAYERS[name]
    # Each layer has random numbers of its own, so that a selection gives the same figures.
    rng = np.random.default_rng([SEED, SETS.index(kind), list(LAYERS).index(name)])
    codes = _codes(rng, paper, uneven=kind == "uneven")
    acts = rng.integers(1, 1 << 12, paper.inputs) * (rng.random(paper.inputs) < paper.acts)
    first = next(iter(configs.values()))
    macs = int(np.count_nonzero(codes[:, acts != 0]))
    return {
        "set": kind,
        "name": name,
        "inputs": paper.inputs,
        "outputs": paper.outputs,
        "weights": int(np.count_nonzero(codes)),
        "macs": macs,
        "lower_bound": -(-macs // first.pes),
        "published_cycles": round(paper.published_us * MHZ),
        "presets": {
            preset_name: _predict(_program(name, codes, config), acts)
            for preset_name, config in configs.items()
        },
    }


def _codes(rng: np.random.Generator, paper: PaperLayer, *, uneven: bool) -> np.ndarray:
    """Codes 1...15 where a weight stands. uint8, shape (outputs, inputs)."""
    shape = (paper.outputs, paper.inputs)
    chance = np.full((1, 1), paper.weights, np.float32)
    if uneven:
        rows, columns = (rng.lognormal(0, SIGMA, size).astype(np.float32) for size in shape)
        chance = np.outer(rows / rows.mean(), columns / columns.mean()) * np.float32(paper.weights)
        # What exceeds one is lost; scale until the mean is right again.
        for _ in range(20):
            chance = np.minimum(chance * (paper.weights / chance.mean()), 1)
    kept = rng.random(shape, np.float32) < chance
    return kept * rng.integers(1, 16, shape, dtype=np.uint8)


def _program(name: str, codes: np.ndarray, config: EieConfig) -> Program:
    """The layer, tiled and packed; its numbers do not matter for cycles."""
    layer = IntegerLayer(
        name=name,
        codes=codes,
        codebook=np.arange(config.codes, dtype=np.int64),
        bias=np.zeros(len(codes), np.int64),
        multiplier=1,
        shift=8,
        relu=True,
        input_scale=1.0,
        weight_scale=1.0,
        output_scale=1.0,
        weight_bits=config.weight_bits,
        sums=(0, 0),
        vanished=0,
    )
    return pack_network([layer], tile_network([layer], config), config)


def _predict(program: Program, acts: np.ndarray) -> dict:
    """Cycles, utilization and losses of one image; passes of a tiled layer are added up."""
    config = program.config
    model = GoldenModel(program)
    _, counts = model.run(acts[None])
    in_array: list[int] = np.sum([one.array[0] for one in counts], axis=0).tolist()
    in_pes: list[int] = np.sum([one.pe[0].sum(axis=0) for one in counts], axis=0).tolist()
    array: dict[str, int] = dict(zip(ARRAY_COUNTERS, in_array, strict=True))
    pe: dict[str, int] = dict(zip(PE_COUNTERS, in_pes, strict=True))
    slots = config.pes * array["cycles"]
    entries = sum(int(matrix.entries.sum()) for matrix in model.decoded)
    return {
        "cycles": array["cycles"],
        "utilization": pe["busy"] / slots,
        "lost": {
            cause: (pe[cause] if cause in pe else config.pes * array[cause]) / slots
            for cause in LOST
        },
        "passes": len(counts),
        "stored_bits_per_weight": entries * config.entry_bits / program.layers[0].weights,
    }


def _geomean(layers: list[dict], kind: str, preset_name: str) -> float:
    used = [
        layer["presets"][preset_name]["utilization"] for layer in layers if layer["set"] == kind
    ]
    return float(np.exp(np.mean(np.log(used))))


def table(document: dict) -> str:
    """The figures for people."""
    head = f"{'layer':<16}{'MACs':>10}{'bound':>8}{'paper':>8}"
    for name in PRESETS:
        head += f"{name:>10}{'used':>7}{'pads':>7}{'starved':>9}{'imbalance':>11}"
    lines = [head]
    for layer in document["layers"]:
        line = f"{layer['set'] + ' ' + layer['name']:<16}{layer['macs']:>10}"
        line += f"{layer['lower_bound']:>8}{layer['published_cycles']:>8}"
        for name in PRESETS:
            one = layer["presets"][name]
            line += f"{one['cycles']:>10}{one['utilization']:>7.1%}{one['lost']['pads']:>7.1%}"
            line += f"{one['lost']['starved']:>9.1%}{one['lost']['imbalance']:>11.1%}"
        lines.append(line)
    for kind, used in document["geomean_utilization"].items():
        lines.append(
            f"{kind}, geometric mean of MAC slots used: "
            + ", ".join(f"{name} {value:.1%}" for name, value in used.items())
        )
    return "\n".join(lines)
