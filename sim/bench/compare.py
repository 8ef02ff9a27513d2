"""One layer or network in every pattern, on arrays of as many multipliers: what each costs and
loses.

Cycles are predicted by the golden models, outputs are theirs, bit for bit. Nothing is trained again
after pruning: the errors are those of the patterns and the numbers alone, and accuracy is a lower
bound of what a network that was trained with its zeros would have.
"""

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from sim.bench.designs import DENSE, DESIGNS, EIE, MULTIPLIERS, NM
from sim.bench.gemms import BERT, SEED
from sim.bench.nm import geomean
from sim.bench.subject import Subject
from sim.bench.subjects import MODELS, NONZERO, subjects
from spec.errors import UserError

STANDARD = (*BERT, "512x512x64", "Alex-7", *MODELS)
"""What the docs page shows."""

TVW = "tvw-75"
RIVALS = ("dense", "block-75", *(f"unstructured-75/{machine}" for machine in EIE))
"""What TVW is measured against: all but the dense one have as many zeros."""

PUBLISHED = {
    "source": "arXiv 2402.10876, on a GPU, averages",
    "dense": 1.85,
    "block-75": 2.75,
    "unstructured": 22.18,
}
TARGET = 3.8
"""Times as fast as dense that TVW at 75 % is to be, on BERT's layers."""

NOTE = "nothing is trained again after pruning"


def run(names: Sequence[str] = STANDARD) -> dict:
    """Compare all designs on several layers and networks; the result file's contents."""
    # One after the other: large layers are large.
    measured = [
        compare(subject) for name in tqdm(names, "names", leave=False) for subject in subjects(name)
    ]
    return {
        "command": "python -m sim.bench compare",
        "seed": SEED,
        "note": NOTE,
        **_machines(),
        "published": PUBLISHED,
        "target": TARGET,
        "subjects": measured,
        "tvw": tvw(measured),
    }


def run_one(
    name: str,
    calibrate: str | None = None,
    inputs: str | None = None,
    labels: str | None = None,
) -> dict:
    """Compare all designs on what was asked for; see :func:`sim.bench.subjects.subjects`."""
    chosen = subjects(name, calibrate, inputs, labels)
    return {
        "command": f"python -m sim.bench compare {name}",
        "seed": SEED,
        "note": NOTE,
        **_machines(),
        "subjects": [compare(subject) for subject in chosen],
    }


def _machines() -> dict:
    digests = {"N:M array": NM.digest} | {f"EIE {name}": one.digest for name, one in EIE.items()}
    return {"multipliers": MULTIPLIERS, "config_digests": digests}


def compare(subject: Subject) -> dict:
    """All designs on one layer or network."""
    dense, figures = subject.dense(), {}
    for key, design in tqdm(DESIGNS.items(), subject.name, leave=False):
        about = {"title": design.title, "machine": design.machine, "asked_density": design.density}
        try:
            found = subject.measure(design)
        except UserError as refusal:
            if key == DENSE:
                raise  # there is nothing to compare the others with
            figures[key] = about | {"refused": str(refusal)}
            continue
        figures[key] = {
            **about,
            "density": found.density,
            **found.figures,
            "bits_per_position": found.figures["bits"] / subject.positions,
            "pruned_error": relative(found.pruned, dense),
            "error": relative(found.outputs, dense),
            "right": subject.right(found.outputs),
        }
    _relate(figures)
    return {
        "name": subject.name,
        **subject.about,
        "positions": subject.positions,
        "right_in_float": subject.right(dense),
        "designs": figures,
    }


def _relate(figures: dict[str, dict]) -> None:
    """Add how much faster each is than the dense design."""
    base = figures[DENSE]
    for one in figures.values():
        if "refused" not in one:
            one["speedup"] = base["cycles"] / one["cycles"]
            one["loaded_speedup"] = base["loaded_cycles"] / one["loaded_cycles"]


def relative(outputs: np.ndarray, dense: np.ndarray) -> float:
    """L2 norm of the difference, as a part of that of the dense network's outputs."""
    outputs = outputs.reshape(dense.shape)
    return float(np.linalg.norm(outputs - dense) / (np.linalg.norm(dense) or 1.0))


def tvw(measured: Sequence[dict]) -> dict:
    """How many times as fast TVW is as its rivals: on every subject, and on average of BERT's."""
    rows = []
    for subject in measured:
        cycles = {key: one.get("cycles") for key, one in subject["designs"].items()}
        times = {
            rival: cycles[rival] / cycles[TVW] if cycles[rival] and cycles[TVW] else None
            for rival in RIVALS
        }
        rows.append({"name": subject["name"], "acts": subject.get("acts"), "times": times})
    means = {}
    for kind in NONZERO:
        own = [row["times"] for row in rows if row["name"] in BERT and row["acts"] == kind]
        if own:
            means[kind] = {rival: geomean(one[rival] for one in own) for rival in RIVALS}
    return {"rows": rows, "bert_geomean": means}


def table(document: dict) -> str:
    """The figures for people."""
    parts = [
        f"{document['multipliers']} multipliers everywhere; {document['note']}.\n"
        "Speed is against the dense matrix on the N:M array; error is the relative L2 norm against "
        "the dense float outputs."
    ]
    return "\n\n".join(parts + [_table(subject) for subject in document["subjects"]])


def _table(subject: dict) -> str:
    told = [f"{key} {value}" for key, value in subject.items() if key in ("acts", "weights")]
    if subject["right_in_float"] is not None:
        told.append(f"right in float {subject['right_in_float']:.2%}")
    lines = [
        f"{subject['name']}: {', '.join(told)}",
        f"{'design':<22}{'machine':<18}{'cycles':>10}{'speed':>8}{'loaded':>8}{'used':>7}"
        f"{'bits':>9}{'error':>8}{'right':>8}  lost to",
    ]
    return "\n".join(lines + [_row(one) for one in subject["designs"].values()])


def _row(one: dict) -> str:
    start = f"{one['title']:<22}{one['machine']:<18}"
    if "refused" in one:
        return f"{start}refused: {one['refused']}"
    right = "" if one["right"] is None else f"{one['right']:.1%}"
    return (
        f"{start}{one['cycles']:>10}{one['speedup']:>7.2f}x{one['loaded_speedup']:>7.2f}x"
        f"{one['utilization']:>7.1%}{one['bits_per_position']:>9.2f}{one['error']:>8.3f}"
        f"{right:>8}  {causes(one['lost'])}"
    )


def causes(lost: dict[str, float], most: int = 2) -> str:
    """The largest causes of lost slots, those below half a percent left out."""
    worst = sorted(lost.items(), key=lambda item: -item[1])[:most]
    return ", ".join(f"{cause} {share:.0%}" for cause, share in worst if share >= 0.005)
