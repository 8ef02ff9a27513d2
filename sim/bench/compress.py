"""The experiments of compression, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sim.bench import (
    compress_fashion,
    compress_large,
    compress_lenet,
    compress_minilm,
    compress_permutation,
)

Document = dict[str, Any]


@dataclass(frozen=True)
class Experiment:
    """What to run, how people read what comes out, and the file under ``results/`` for it."""

    run: Callable[[], Document]
    table: Callable[[Document], str]
    file: str


def _lenet(name: str) -> Experiment:
    file = f"compress_{name.replace('-', '_')}.json"
    return Experiment(lambda: compress_lenet.run(name), compress_lenet.table, file)


EXPERIMENTS = {
    **{name: _lenet(name) for name in compress_lenet.PLANS},
    "fashion-nm": Experiment(
        compress_fashion.run_nm, compress_fashion.nm_table, "compress_fashion_nm.json"
    ),
    "fashion-criteria": Experiment(
        compress_fashion.run_ranking,
        compress_fashion.ranking_table,
        "compress_fashion_criteria.json",
    ),
    "minilm": Experiment(compress_minilm.run, compress_minilm.table, "compress_minilm.json"),
    "permutation": Experiment(
        compress_permutation.run, compress_permutation.table, "compress_permutation.json"
    ),
    "large": Experiment(compress_large.run, compress_large.table, "compress_large.json"),
}
"""All of them; ``python -m sim.bench compress NAME``."""


def run(name: str) -> Document:
    """Run one of them; the result file's contents."""
    return EXPERIMENTS[name].run()


def table(document: Document) -> str:
    """What came out, for people."""
    return EXPERIMENTS[document["command"].split()[-1]].table(document)
