"""The paper's nine layers: how many cycles they take on the published machine and on ours, and why.

Every layer of both sets (:mod:`sim.bench.layers`) is compiled for preset ``isca16``, rows
interleaved plainly, and for the default preset, as the compiler likes it. The whole benchmark adds
the default preset with 256 PEs, and with 8 lanes on 8 images.

The paper's times (Table IV, times 800 MHz) stand beside. They are not to be hit from these sizes:
the table's densities are rounded, and its VGG-6 time needs twice the density that it states.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from sim.bench.layers import LAYERS, SEED, SETS, Drawn, check_names, draw
from spec.eie.config import EieConfig, preset
from spec.eie.counters import LOST
from spec.eie.cycles import PassCounts
from spec.eie.program import Program
from spec.image import inspect
from sw.compile.eie.pack import pack_network
from sw.compile.eie.tile import tile_network
from sw.host.eie.golden import GoldenDevice

MHZ = 800
MANY_PES = 256
MANY_LANES = 8


@dataclass(frozen=True)
class Machine:
    """An array, and whether the compiler may balance its rows."""

    name: str
    config: EieConfig
    balance: bool = True

    def program(self, layer: Drawn) -> Program:
        """Compile a layer."""
        integers = [layer.integer_layer(self.config)]
        tiling = tile_network(
            integers, self.config, activity=[layer.calibration], balance=self.balance
        )
        return pack_network(integers, tiling, self.config)


def machines(pes: int) -> list[Machine]:
    """The two that are compared."""
    return [
        Machine("isca16", preset("isca16", pes=pes), balance=False),
        Machine("default", preset("default", pes=pes)),
    ]


def run(names: Sequence[str] = (), pes: int = 64) -> dict:
    """Predict layers of both sets; the result file's contents.

    Parameters
    ----------
    names : sequence of str
        Layers of :data:`sim.bench.layers.LAYERS`; all by default.
    pes : int
        Processing elements of the machines that are compared.
    """
    check_names(names)
    compared = machines(pes)
    jobs = [(kind, name) for kind in SETS for name in names or LAYERS]
    layers = [measure(kind, name, compared) for kind, name in tqdm(jobs, "layers", leave=False)]
    return {
        "command": "python -m sim.bench eie",
        "device": "golden",
        "seed": SEED,
        "pes": pes,
        "config_digests": {one.name: one.config.digest for one in compared},
        "layers": layers,
        "geomean": {kind: _summarize(layers, kind) for kind in SETS},
    }


def run_all() -> dict:
    """All layers, and what more PEs and more lanes make of the random ones."""
    document = run()
    many = Machine("default", preset("default", pes=MANY_PES))
    lanes = Machine("default", preset("default", lanes=MANY_LANES))
    one = Machine("default", preset("default"))
    scaled, batched = {}, {}
    for layer in tqdm(document["layers"], "more PEs, more lanes", leave=False):
        if layer["set"] == "random":
            name, before = layer["name"], layer["machines"]["default"]
            figures = _predict(many, draw("random", name))
            scaled[name] = figures | {"speedup": before["cycles"] / figures["cycles"]}
            batched[name] = _compare_lanes(one, lanes, draw("random", name, MANY_LANES))
    used = _geomean(figures["utilization"] for figures in scaled.values())
    faster = _geomean(figures["speedup"] for figures in scaled.values())
    return document | {
        "many_pes": {"pes": MANY_PES, "utilization": used, "speedup": faster, "layers": scaled},
        "lanes": {"lanes": MANY_LANES, "images": MANY_LANES, "layers": batched},
    }


def measure(kind: str, name: str, compared: Sequence[Machine]) -> dict:
    """One layer of one set, on every machine."""
    layer, paper = draw(kind, name), LAYERS[name]
    return {
        "set": kind,
        "name": name,
        "inputs": paper.inputs,
        "outputs": paper.outputs,
        "weights": layer.weights,
        "macs": layer.macs,
        "lower_bound": -(-layer.macs // compared[0].config.pes),
        "published_cycles": round(paper.published_us * MHZ),
        "machines": {machine.name: _predict(machine, layer) for machine in compared},
    }


def _predict(machine: Machine, layer: Drawn) -> dict:
    """Compile, and predict."""
    program = machine.program(layer)
    device = GoldenDevice(machine.config)
    device.load(program)
    device.run(layer.acts)
    return figures_of(program, device.counters(), layer)


def figures_of(program: Program, counts: Sequence[PassCounts], layer: Drawn) -> dict:
    """Cycles, utilization, losses and storage; passes of a tiled layer are added up."""
    config, (told,) = program.config, inspect(program)["layers"]

    def total(name: str) -> int:
        return int(sum(one.of(name).sum() for one in counts))

    cycles = total("cycles")
    slots = config.pes * cycles
    in_array = ("drain", "control")
    return {
        "cycles": cycles,
        "utilization": layer.macs / (slots * config.lanes),
        "lost": {
            cause: total(cause) * (config.pes if cause in in_array else 1) / slots for cause in LOST
        },
        "clusters": told["clusters"],
        "run_bits": told["run_bits"],
        "passes": told["passes"],
        "segments": len(program.segments),
        "loads": total("loads"),
        "lines": total("lines"),
        "gated": total("gated"),
        "entry_bits_per_weight": told["entry_bits_per_weight"],
        "pointer_bits_per_weight": told["pointer_bits_per_weight"],
    }


def _compare_lanes(one: Machine, many: Machine, layer: Drawn) -> dict:
    """Cycles per image of a batch, image after image and all at once."""
    images, density = len(layer.acts), LAYERS[layer.name].acts
    alone, together = (_predict(machine, layer) for machine in (one, many))
    return {
        "cycles_per_image": together["cycles"] / images,
        "cycles_per_image_of_one_lane": alone["cycles"] / images,
        "speedup": alone["cycles"] / together["cycles"],
        "expected": images * density / (1 - (1 - density) ** images),
        "lines_per_image": together["lines"] / images,
        "lines_per_image_of_one_lane": alone["lines"] / images,
        "macs": layer.macs,
        "gated": together["gated"],
    }


def _summarize(layers: list[dict], kind: str) -> dict:
    """Geometric means over the layers of a set."""
    own = [layer["machines"] for layer in layers if layer["set"] == kind]
    used = {name: _geomean(one[name]["utilization"] for one in own) for name in own[0]}
    ratio = _geomean(one["default"]["cycles"] / one["isca16"]["cycles"] for one in own)
    return {"utilization": used, "cycles_ratio": ratio}


def _geomean(values: Iterable[float]) -> float:
    return float(np.exp(np.mean(np.log(list(values)))))


def table(document: dict) -> str:
    """The figures for people."""
    names = list(document["config_digests"])
    head = f"{'layer':<16}{'MACs':>10}{'bound':>8}{'paper':>8}"
    for name in names:
        head += f"{name:>10}{'used':>7}{'pads':>7}{'starved':>9}{'imbalance':>11}"
    lines = [head + f"{'ratio':>8}"]
    for layer in document["layers"]:
        line = f"{layer['set'] + ' ' + layer['name']:<16}{layer['macs']:>10}"
        line += f"{layer['lower_bound']:>8}{layer['published_cycles']:>8}"
        for name in names:
            one = layer["machines"][name]
            line += f"{one['cycles']:>10}{one['utilization']:>7.1%}{one['lost']['pads']:>7.1%}"
            line += f"{one['lost']['starved']:>9.1%}{one['lost']['imbalance']:>11.1%}"
        first, last = (layer["machines"][name]["cycles"] for name in (names[0], names[-1]))
        lines.append(line + f"{last / first:>8.3f}")
    for kind, means in document["geomean"].items():
        used = ", ".join(f"{name} {value:.1%}" for name, value in means["utilization"].items())
        lines.append(
            f"{kind}, geometric means: MAC slots used {used}; cycles {means['cycles_ratio']:.3f}"
        )
    return "\n".join(lines + _more(document))


def _more(document: dict) -> list[str]:
    """A line for each layer on more PEs and on more lanes."""
    if "many_pes" not in document:
        return []
    many, lanes = document["many_pes"], document["lanes"]
    lines = [
        f"{many['pes']} PEs: {many['speedup']:.2f} times as fast, "
        f"{many['utilization']:.1%} of MAC slots used"
    ]
    lines += [
        f"  {name:<8}{one['speedup']:>6.2f}{one['utilization']:>8.1%}"
        for name, one in many["layers"].items()
    ]
    lines.append(f"{lanes['lanes']} lanes: times as fast per image, expected of the densities")
    lines += [
        f"  {name:<8}{one['speedup']:>6.2f}{one['expected']:>6.2f}"
        for name, one in lanes["layers"].items()
    ]
    return lines
