"""``make demo``: a network is trained, compressed, compiled, emitted as Verilog and simulated, and
all agree.

With the benchmarks, the only module that sees every part of the project; it calls each one's
public function and shows what came out.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import torch

from hw.build import build
from sim.devices import open_device
from spec import image
from spec.eie.config import PRESETS, EieConfig, preset
from spec.eie.counters import LOST
from spec.eie.cycles import dense_cycles
from spec.eie.program import Program
from spec.errors import UserError, cli
from spec.files import make_folder, write_file
from sw.compile import compile_network
from sw.compress.data import Dataset, digits, idx_folder
from sw.compress.recipe import Recipe, lenet_recipe
from sw.host.compare import Result, first_difference, run_on
from sw.host.progress import progress
from sw.host.quantities import quantize_input
from sw.host.report import make_report

OUT = Path("build/demo")
CALIBRATION = 512
"""Training pictures that activation ranges are measured on."""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 if everything agreed, 1 if not; 2 (by ``cli``) for bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m sim.demo", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--data", metavar="DIR", help="IDX files of MNIST or Fashion-MNIST")
    known = ", ".join(PRESETS)
    parser.add_argument("--preset", default="default", help=f"one of {known} (default: default)")
    parser.add_argument("--pes", type=int, help="processing elements (default: the preset's)")
    parser.add_argument("--seed", type=int, default=1, help="of training and shuffling (default 1)")
    parser.add_argument(
        "--rtl", type=int, default=256, help="digits to run in Verilator (default 256)"
    )
    parser.add_argument("--save", metavar="FILE", help="write the table's figures as JSON")
    arguments = parser.parse_args(argv)
    if arguments.rtl < 1:
        raise UserError(f"--rtl {arguments.rtl}: at least one digit has to run in Verilator")
    if not 0 <= arguments.seed < 1 << 32:
        raise UserError(f"--seed {arguments.seed}: must be from 0 to {(1 << 32) - 1}")
    sizes = {} if arguments.pes is None else {"pes": arguments.pes}
    config = preset(arguments.preset, **sizes)
    if arguments.save:
        make_folder(Path(arguments.save).parent)
    data = idx_folder(arguments.data) if arguments.data else digits()
    figures = run_demo(data, config, seed=arguments.seed, rtl=arguments.rtl)
    print(table(figures))
    if arguments.save:
        write_file(arguments.save, (json.dumps(figures, indent=2) + "\n").encode())
    return 0 if figures["agree"] else 1


def run_demo(data: Dataset, config: EieConfig, *, seed: int, rtl: int, effort: float = 1.0) -> dict:
    """The whole way, with less effort in training if asked; the table's figures, JSON-ready."""
    started = time.monotonic()
    make_folder(OUT)
    with _step(f"train, prune, share ({data.name}, seed {seed})"):
        recipe = lenet_recipe(data, seed=seed, effort=effort)

    with _step(f"compile for {config.pes} PEs"):
        calibration = data.train_images[:CALIBRATION].flatten(1).numpy()
        program = compile_network(recipe.shared, calibration, config).program
        _keep(recipe, data, calibration, program)

    with _step("emit Verilog"):
        folder = build(config)

    pictures = quantize_input(program, data.test_images.flatten(1).numpy())
    rtl = min(rtl, len(pictures))
    with _step(f"golden model, {len(pictures)} digits"):
        golden = _run("golden", program, pictures)

    with _step("build the Verilator model"):
        device = open_device("verilator", config)
    with closing(device):
        with (
            _step(f"Verilator, {min(rtl, len(pictures))} digits"),
            progress("", min(rtl, len(pictures))) as tick,
        ):
            found = run_on(device, program, pictures[:rtl], tick)
        report = make_report(device, program, found.outputs, found.counts)
    told = _run("golden", program, pictures[:rtl])
    difference = first_difference(program, found, told)
    if difference:
        print(f"DIFFERENT: {difference}")
    labels = data.test_labels.numpy()
    return {
        "data": data.name,
        "seed": seed,
        "pes": config.pes,
        "config_digest": config.digest,
        "verilog": str(folder),
        "image": str(OUT / "net.skip"),
        "agree": difference is None,
        "accuracy": _accuracies(recipe, golden, found, labels),
        "weights": _weights(program),
        "cycles": _cycles(program, told, report),
        "layers": report["layers"],
        "seconds": round(time.monotonic() - started, 1),
    }


def _keep(recipe: Recipe, data: Dataset, calibration: np.ndarray, program: Program) -> None:
    """Leave network, inputs and image for the command-line tools."""
    torch.save(recipe.shared.state_dict(), OUT / "net.pt")
    np.save(OUT / "calibrate.npy", calibration)
    np.save(OUT / "digits.npy", data.test_images.flatten(1).numpy())
    image.write(program, OUT / "net.skip")


@contextmanager
def _step(title: str) -> Iterator[None]:
    """Name a step while it runs, and say how long it took."""
    print(f"{title} ...", end=" ", flush=True)
    started = time.monotonic()
    yield
    print(f"{time.monotonic() - started:.1f} s", flush=True)


def _run(name: str, program: Program, batch: np.ndarray) -> Result:
    with closing(open_device(name, program.config)) as device:
        return run_on(device, program, batch)


def _accuracies(
    recipe: Recipe, golden: Result, rtl: Result, labels: np.ndarray
) -> dict[str, float]:
    """Share of the test digits that each stage gets right, and on how many digits the RTL ran."""
    count = len(rtl.outputs)
    return {
        **recipe.accuracy,
        "fixed point": _share_right(golden.outputs, labels),
        "fixed point, first digits": _share_right(golden.outputs[:count], labels),
        "RTL, first digits": _share_right(rtl.outputs, labels),
        "first digits": count,
    }


def _share_right(outputs: np.ndarray, labels: np.ndarray) -> float:
    return float((outputs.argmax(axis=1) == labels[: len(outputs)]).mean())


def _weights(program: Program) -> dict[str, float]:
    """How many weights there are, how many are left, and what they take in memory."""
    layers = image.inspect(program)["layers"]
    total = sum(layer["inputs"] * layer["outputs"] for layer in layers)
    left = sum(layer["weights"] for layer in layers)
    return {
        "dense": total,
        "left": left,
        "density": left / total,
        "pads": sum(layer["pads"] for layer in layers),
    } | {
        name: sum(layer[name] * layer["weights"] for layer in layers) / left
        for name in ("entry_bits_per_weight", "pointer_bits_per_weight")
    }


def _cycles(program: Program, told: Result, report: dict) -> dict[str, float]:
    """Cycles per digit: predicted, counted, and of a dense network on the same array."""
    images = report["images"]
    predicted = sum(int(counts.array[:, 0].sum()) for counts in told.counts)
    return {
        "predicted": predicted / images,
        "counted": report["cycles"] / images,
        "dense": sum(
            dense_cycles(program.config, step.descriptor) for _, _, step in program.passes()
        ),
        "utilization": report["utilization"],
    }


def table(figures: dict) -> str:
    """The figures for people."""
    accuracy, weights, cycles = figures["accuracy"], figures["weights"], figures["cycles"]
    first = accuracy["first digits"]
    causes = [
        f"{name} {sum(layer['lost'][name] for layer in figures['layers']) / _slots(figures):.0%}"
        for name in LOST
    ]
    rows = [
        ("accuracy, float", f"{accuracy['float']:.2%}"),
        ("accuracy, pruned", f"{accuracy['pruned']:.2%}"),
        ("accuracy, shared (4 bits)", f"{accuracy['shared']:.2%}"),
        ("accuracy, fixed point (golden model)", f"{accuracy['fixed point']:.2%}"),
        (f"  on the first {first} digits", f"{accuracy['fixed point, first digits']:.2%}"),
        (f"  on the first {first} digits, RTL", f"{accuracy['RTL, first digits']:.2%}"),
        ("weights left", f"{weights['left']} of {weights['dense']} ({weights['density']:.1%})"),
        (
            "bits per weight left, pads included",
            f"{weights['entry_bits_per_weight']:.2f} (float: 32)",
        ),
        ("  and its share of all PEs' pointers", f"{weights['pointer_bits_per_weight']:.1f}"),
        ("cycles per digit, predicted", f"{cycles['predicted']:.1f}"),
        ("cycles per digit, counted in RTL", f"{cycles['counted']:.1f}"),
        ("cycles per digit if nothing were zero", f"{cycles['dense']}"),
        ("fewer cycles than dense", f"{cycles['dense'] / cycles['counted']:.1f}x"),
        ("utilization of the multipliers", f"{cycles['utilization']:.1%}"),
        ("  lost to", ", ".join(causes)),
        ("outputs, cycles and counters equal", "yes, all" if figures["agree"] else "NO"),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name.ljust(width)}  {value}" for name, value in rows]
    lines.append(
        f"image {figures['image']}, Verilog {figures['verilog']}, {figures['seconds']} s in all"
    )
    return "\n".join(["", *lines])


def _slots(figures: dict) -> int:
    """Multiply-accumulate slots of the run in Verilator."""
    return figures["pes"] * sum(layer["cycles"] for layer in figures["layers"])


if __name__ == "__main__":
    cli(main)
