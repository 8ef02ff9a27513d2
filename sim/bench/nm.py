"""What 2:4 and its relatives save on the N:M array: predicted cycles of layers with random weights.

BERT-base's matrices on 128 tokens, and cubes from the smallest to the largest, in every pattern, on
two presets. Cycles are of the whole run: weights and activations are loaded within.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from tqdm import tqdm

from sim.bench.gemms import BERT, SEED, Gemm, gemms
from sim.bench.patterns import PATTERNS, Pattern, random_program
from spec.image import inspect
from spec.nm.config import NmConfig, preset
from spec.nm.cycles import count_run
from spec.nm.program import Program
from sw.host.nm.report import summarize

PRESETS = ("default", "ecp5")
COMPARED = ("dense", "2:4", "1:4", "tvw-75")
SMALL = "64x64x64"
CUBES = tuple(f"{side}x{side}x{side}" for side in (16, 32, 64, 128, 256, 512, 1024))


def run(names: Sequence[str] = ()) -> dict:
    """Predict layers; the result file's contents.

    Parameters
    ----------
    names : sequence of str
        See :func:`sim.bench.gemms.gemm`; BERT's and the cubes by default.
    """
    layers = gemms(names or (*BERT, *CUBES))
    jobs = [(name, layer) for name in PRESETS for layer in layers]
    figures = [measure(name, layer) for name, layer in tqdm(jobs, "layers", leave=False)]
    document = {
        "command": "python -m sim.bench nm",
        "device": "golden",
        "seed": SEED,
        "config_digests": {name: preset(name).digest for name in PRESETS},
        "layers": figures,
    }
    if not names:
        document["geomean"] = {name: _means(figures, name) for name in PRESETS}
        document["targets"] = _targets(figures)
    return document


def measure(name: str, layer: Gemm) -> dict:
    """One layer on one preset, in every pattern."""
    config = preset(name)
    patterns = {key: predict(config, layer, PATTERNS[key]) for key in COMPARED}
    dense = patterns["dense"]["cycles"]
    for figures in patterns.values():
        figures["ratio"] = figures["cycles"] / dense
    return {
        "preset": name,
        "name": layer.name,
        "outputs": layer.outputs,
        "inputs": layer.inputs,
        "tokens": layer.tokens,
        "patterns": patterns,
    }


def predict(config: NmConfig, layer: Gemm, pattern: Pattern) -> dict:
    """Cycles, utilization, losses and storage of one layer in one pattern."""
    program = random_program(layer, pattern, config)
    counts = count_run(config, program.descriptor(0, layer.tokens), program.steps(0))
    return run_figures(summarize(program, layer.tokens, [counts])) | storage(program)


def run_figures(report: dict) -> dict:
    """Of a report of the N:M array: cycles, and shares of all multiplier slots."""
    slots = report["rows"] * report["columns"] * report["multipliers"] * report["cycles"]
    return {
        "cycles": report["cycles"],
        "utilization": report["utilization"],
        "lost": {cause: lost / slots for cause, lost in report["lost"].items()},
        "loads": report["loads"],
    }


def storage(program: Program) -> dict:
    """Bits of a packed network, and parts of its dense matrices' bits: all of them, and those of
    weights and places alone."""
    layers = inspect(program)["layers"]
    dense = sum(one["inputs"] * one["outputs"] for one in layers) * program.config.weight_bits
    bits = sum(sum(one["bits"].values()) for one in layers)
    matrix = sum(one["bits"]["values"] + one["bits"]["places"] for one in layers)
    return {"bits": bits, "stored": bits / dense, "matrix_stored": matrix / dense}


def geomean(values: Iterable[float]) -> float:
    """Geometric mean."""
    return float(np.exp(np.mean(np.log(list(values)))))


def _means(figures: list[dict], name: str) -> dict[str, dict[str, float]]:
    """Over BERT's layers, pattern by pattern."""
    own = [one["patterns"] for one in figures if one["preset"] == name and one["name"] in BERT]
    return {
        key: {what: geomean(one[key][what] for one in own) for what in ("ratio", "utilization")}
        for key in COMPARED
    }


def _targets(figures: list[dict]) -> list[dict]:
    """What was aimed at, and the worst that came out, on each preset."""

    def found(names: Iterable[str], key: str, what: str, choose=max) -> dict[str, float]:
        return {
            name: choose(
                one["patterns"][key][what]
                for one in figures
                if one["preset"] == name and one["name"] in names
            )
            for name in PRESETS
        }

    least = {key: found(BERT, key, "utilization", min) for key in COMPARED}
    used = {name: min(one[name] for one in least.values()) for name in PRESETS}
    faster = {name: 1 / ratio for name, ratio in found(BERT, "tvw-75", "ratio").items()}
    return [
        _target("cycles 2:4 / dense, BERT", "at most", 0.505, found(BERT, "2:4", "ratio")),
        _target("cycles 1:4 / dense, BERT", "at most", 0.26, found(BERT, "1:4", "ratio")),
        _target(f"cycles 2:4 / dense, {SMALL}", "at most", 0.55, found((SMALL,), "2:4", "ratio")),
        _target("slots used, BERT, every pattern", "at least", 0.97, used),
        _target("TVW at 75 % against dense, BERT", "at least", 3.8, faster),
        _target("2:4 weights and places", "at most", 0.625, found(BERT, "2:4", "matrix_stored")),
    ]


def _target(what: str, side: str, target: float, found: dict[str, float]) -> dict:
    return {"what": what, "side": side, "target": target, "found": found}


def met(target: dict, name: str) -> bool:
    """Whether a preset does what was aimed at."""
    found, aim = target["found"][name], target["target"]
    return found <= aim if target["side"] == "at most" else found >= aim


def table(document: dict) -> str:
    """The figures for people."""
    lines = [
        f"{'layer':<15}{'preset':>9}{'pattern':>9}{'cycles':>10}{'of dense':>10}{'used':>8}"
        f"{'padding':>9}{'waits':>8}{'ends':>8}{'bits':>11}{'stored':>10}"
    ]
    for layer in document["layers"]:
        lines += [_row(layer, key, one) for key, one in layer["patterns"].items()]
    for target in document.get("targets", ()):
        found = ", ".join(
            f"{name} {value:.4f} ({'met' if met(target, name) else 'NOT met'})"
            for name, value in target["found"].items()
        )
        lines.append(f"{target['what']}, {target['side']} {target['target']}: {found}")
    return "\n".join(lines)


def _row(layer: dict, key: str, one: dict) -> str:
    lost = one["lost"]
    waits = lost["weight_wait"] + lost["act_wait"] + lost["drain_wait"]
    return (
        f"{layer['name']:<15}{layer['preset']:>9}{key:>9}{one['cycles']:>10}{one['ratio']:>10.4f}"
        f"{one['utilization']:>8.1%}{lost['padding']:>9.1%}{waits:>8.1%}"
        f"{lost['tail'] + lost['control']:>8.1%}{one['bits']:>11}{one['stored']:>10.1%}"
    )
