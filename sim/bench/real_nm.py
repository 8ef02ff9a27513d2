"""A real transformer on the N:M array: what 2:4 and int8 leave of its embeddings, how many cycles
its Linear layers take, and one whole encoder layer in Verilator.

Attention's products, softmax, LayerNorm and GELU stay on the host, in float. The network is pruned
by magnitude and not trained again, and loses more by that than by integers: each of the two is told
by itself.
"""

from contextlib import closing
from copy import deepcopy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from sim.bench.layer_runs import Recorder, account, check_equal
from sim.bench.minilm import batches, load_minilm, tokenize
from sim.bench.sentences import CALIBRATION, HELD_OUT
from sim.devices import open_device
from sim.tools import versions
from spec.nm.config import Mode, NmConfig, preset
from sw.compile.nm.attach import on_device
from sw.compile.nm.linears import compile_linears
from sw.compile.nm.migrate import MIGRATION
from sw.compress.layers import weights
from sw.compress.patterns import nm_mask
from sw.host.table import align

SOURCE = (
    "All Linear layers of all-MiniLM-L6-v2 on sentences of our own, half of them to calibrate "
    "scales, the other half to measure; of each four neighbouring inputs of an output the two "
    "largest weights kept, not retrained."
)
DENSE, PATTERN = "dense", Mode(2, 4)
SCALES: tuple[dict[str, Any], ...] = (
    {"scales": "tensor", "migration": None},
    {"scales": "row", "migration": None},
    {"scales": "row", "migration": MIGRATION},
)
"""Options of the compiler that are compared; the last are its own choice."""

SIMULATOR = "verilator"
SIMULATED = 0
"""Encoder layer that is simulated."""

Network = TypeVar("Network", bound=nn.Module)


def run() -> dict:
    """Measure all; the result file's contents."""
    config, samples = preset("default"), batches(CALIBRATION)
    ids, mask = tokenize(HELD_OUT)
    dense = load_minilm()
    networks = {DENSE: dense, str(PATTERN): prune(dense, PATTERN)}
    floats = {f"float {mode}": network(ids, mask) for mode, network in networks.items()}
    integers, costs = {}, {}
    for mode, network in tqdm(networks.items(), "networks", leave=False):
        program = compile_linears(network, samples, config, pattern=mode)
        recorder = Recorder(open_device("golden", config), program)
        integers[f"int8 {mode}"] = embed(network, recorder, ids, mask)
        costs[mode] = account(recorder, kind)
    sparse = networks[str(PATTERN)]
    return {
        "command": "python -m sim.bench real-nm",
        "tools": versions(),
        "source": SOURCE,
        "preset": "default",
        "sentences": len(ids),
        "tokens": ids.numel(),
        "filler": int((~mask).sum()),
        "embeddings": [
            {
                "network": name,
                "partners": partners(one),
                "cosine": {other: cosine(one, floats[other]) for other in floats},
            }
            for name, one in (floats | integers).items()
        ],
        "scales": try_scales(sparse, samples, config, ids, mask),
        "costs": costs,
        "encoder_layer": simulate(sparse, samples, config, ids, mask),
    }


def prune(network: Network, mode: Mode) -> Network:
    """A copy whose layers keep the largest weights of a pattern."""
    pruned = deepcopy(network)
    with torch.no_grad():
        for weight in weights(pruned).values():
            weight.mul_(nm_mask(weight, mode.n, mode.m))
    return pruned


def embed(network: nn.Module, recorder: Recorder, ids: Tensor, mask: Tensor) -> Tensor:
    """Embeddings by a network whose Linear layers run on a device."""
    with on_device(network, recorder.program, recorder):
        return network(ids, mask)


def kind(name: str) -> str:
    """What a Linear is for: its name within an encoder layer."""
    return name.removeprefix("encoder.layer.").partition(".")[2]


def cosine(one: Tensor, other: Tensor) -> dict[str, float]:
    """Mean and smallest cosine of embeddings, sentence by sentence."""
    found = (one * other).sum(1)  # all have the length 1
    return {"mean": float(found.mean()), "min": float(found.min())}


def partners(embeddings: Tensor) -> int:
    """Sentences to which, of all others, the one that says the same is the nearest."""
    similar = embeddings @ embeddings.T
    similar.fill_diagonal_(-1)
    return int((similar.argmax(1) == torch.arange(len(embeddings)) ^ 1).sum())


def try_scales(
    network: nn.Module, samples: list, config: NmConfig, ids: Tensor, mask: Tensor
) -> list[dict]:
    """How near int8 comes to float with each of :data:`SCALES`."""
    wanted, found = network(ids, mask), []
    for options in tqdm(SCALES, "scales", leave=False):
        program = compile_linears(network, samples, config, pattern=str(PATTERN), **options)
        recorder = Recorder(open_device("golden", config), program)
        found.append(options | cosine(embed(network, recorder, ids, mask), wanted))
    return found


def simulate(
    network: nn.Module,
    samples: list,
    config: NmConfig,
    ids: Tensor,
    mask: Tensor,
    simulator: str = SIMULATOR,
) -> dict:
    """An encoder layer in a simulator, on the tokens of some sentences.

    Raises
    ------
    Failure
        If an output or a counter is not the golden model's.
    """
    names = [name for name in weights(network) if name.startswith(f"encoder.layer.{SIMULATED}.")]
    program = compile_linears(network, samples, config, pattern=str(PATTERN), names=names)
    with closing(open_device(simulator, config)) as device:
        simulated = Recorder(device, program)
        predicted = Recorder(open_device("golden", config), program)
        for recorder in (predicted, simulated):
            embed(network, recorder, ids, mask)
    check_equal(predicted, simulated)
    return {
        "device": simulator,
        "number": SIMULATED,
        "tokens": ids.numel(),
        "equal": True,
        **account(simulated, kind),
    }


def table(document: dict) -> str:
    """The figures for people."""
    parts = (_embeddings(document), _scales(document), _costs(document), [_simulation(document)])
    return "\n\n".join("\n".join(part) for part in parts)


def _embeddings(document: dict) -> list[str]:
    others = list(document["embeddings"][0]["cosine"])
    rows = [["network", "partner nearest", *(f"cosine to {other} (min)" for other in others)]]
    for one in document["embeddings"]:
        cells = [one["network"], f"{one['partners']} of {document['sentences']}"]
        rows.append([*cells, *(_cosine(one["cosine"][other]) for other in others)])
    return align(rows)


def _scales(document: dict) -> list[str]:
    rows = [["scales", "migration", f"cosine to float {PATTERN} (min)"]]
    for one in document["scales"]:
        rows.append([one["scales"], str(one["migration"] or "none"), _cosine(one)])
    return align(rows)


def _cosine(one: dict) -> str:
    return f"{one['mean']:.4f} ({one['min']:.4f})"


def _costs(document: dict) -> list[str]:
    dense, sparse = document["costs"][DENSE], document["costs"][str(PATTERN)]
    rows = [["layers", "size", "cycles dense", f"cycles {PATTERN}", "ratio", "used", "bytes"]]
    for one, other in zip([*dense["kinds"], dense], [*sparse["kinds"], sparse], strict=True):
        size = f"{one['inputs']}x{one['outputs']}" if "kind" in one else ""
        rows.append(
            [
                f"{one['layers']} {one['kind']}" if "kind" in one else "all",
                size,
                str(one["cycles"]),
                str(other["cycles"]),
                f"{other['cycles'] / one['cycles']:.4f}",
                f"{other['utilization']:.1%}",
                str(other["bytes"]),
            ]
        )
    return align(rows)


def _simulation(document: dict) -> str:
    one = document["encoder_layer"]
    return (
        f"encoder layer {one['number']} in {one['device']}: {one['tokens']} tokens in "
        f"{one['cycles']} cycles, all outputs and counters equal to the golden model's"
    )
