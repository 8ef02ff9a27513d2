"""2:4 without training on a real transformer: what magnitude loses, and what regression saves.

Embeddings are judged by people: the Pearson correlation of the cosines of document embeddings with
ratings of the same pairs (:mod:`sim.bench.lee`). Regression sees other documents than those.
"""

import statistics
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, cast

import numpy as np
from torch import Tensor

from sim.bench import lee
from sim.bench.bert import SentenceBert
from sim.bench.compress_seeds import over_seeds
from sim.bench.minilm import batches, load_minilm, tokenize
from sim.bench.real_nm import cosine
from sim.bench.reorder import reordered
from sim.tools import versions
from sw.compress.criteria.base import Context, Criterion
from sw.compress.criteria.magnitude import Magnitude
from sw.compress.criteria.regression import Regression
from sw.compress.layers import weights
from sw.compress.patterns.element import NM
from sw.host.table import align

SOURCE = (
    "All Linear layers of all-MiniLM-L6-v2, not retrained. Pearson correlation between cosines of "
    "document embeddings and people's mean ratings, over all pairs of the 50 documents of Lee, "
    "Pincombe and Welsh (2005); calibration on documents drawn from their background corpus of "
    "300, of which none was rated."
)
PATTERN = NM(2, 4)
SEEDS = (0, 1, 2)
CALIBRATION = 150
"""Documents of each draw."""

TOKENS = 256
"""Of a document at most: no document has more."""

MAGNITUDE, REGRESSION, PERMUTED = "magnitude", "regression", "permutation and regression"

Samples = list[tuple[Tensor, Tensor]]
"""Token numbers and where there are any, batch by batch."""


def run(seeds: Sequence[int] = SEEDS, documents: int = CALIBRATION) -> dict:
    """Measure all; the result file's contents."""
    dense, (ids, mask) = load_minilm(), tokenize(lee.documents(), TOKENS)
    wanted = dense(ids, mask)
    magnitude = judge(compress(dense, Magnitude(), [])(ids, mask), wanted)
    runs, best = over_seeds("minilm", measure, documents, seeds=seeds), pearson(wanted)
    return {
        "command": "python -m sim.bench compress minilm",
        "tools": versions(),
        "source": SOURCE,
        "pattern": str(PATTERN),
        "layers": len(weights(dense)),
        "documents": len(ids),
        "calibration_documents": documents,
        "dense": best,
        MAGNITUDE: magnitude | {"lost": best - magnitude["pearson"]},
        "draws": runs,
        "methods": [
            {"method": name} | summary([one[name] for one in runs], best, magnitude["pearson"])
            for name in (REGRESSION, PERMUTED)
        ],
    }


def measure(seed: int, documents: int) -> dict:
    """What regression leaves, calibrated on one draw of documents."""
    dense, samples = load_minilm(), draw(seed, documents)
    ids, mask = tokenize(lee.documents(), TOKENS)
    wanted, plain = dense(ids, mask), compress(dense, Regression(), samples)
    order, other = permuted(dense, samples, seed)
    both = compress(other, Regression(), samples)(ids, mask)[:, order.argsort()]
    return {
        "tokens": sum(one.numel() for one, _ in samples),
        REGRESSION: judge(plain(ids, mask), wanted),
        PERMUTED: judge(both, wanted),
    }


def draw(seed: int, documents: int) -> list[tuple[Tensor, Tensor]]:
    """Some of the background's documents as batches without filler."""
    texts = lee.background()
    order = np.random.default_rng(seed).permutation(len(texts))[:documents]
    return batches([texts[at] for at in order], TOKENS)


def compress(network: SentenceBert, criterion: Criterion, samples: Samples) -> SentenceBert:
    """A copy with the pattern in all of its Linear layers."""
    pruned = deepcopy(network)
    given = context(pruned, samples)
    solved = criterion.solve(given, dict.fromkeys(given.weights, PATTERN), None)
    for name, (_, weight) in solved.items():
        pruned.get_submodule(name).weight.data = weight
    return pruned


def permuted(network: SentenceBert, samples: Samples, seed: int) -> tuple[Tensor, SentenceBert]:
    """The network in an order that keeps more of what regression goes by, and that order."""
    given = context(network, samples)
    scores = Regression().scores(given, dict.fromkeys(given.weights, PATTERN))
    return reordered(network, scores, PATTERN.n, PATTERN.m, seed=seed)


def context(network: SentenceBert, samples: Samples) -> Context:
    """What criteria see. Nothing asks for targets."""
    return Context(network, weights(network), cast(Any, [(one, None) for one in samples]))


def judge(embeddings: Tensor, wanted: Tensor) -> dict:
    """How well embeddings agree with people, and with those of the dense network."""
    return {"pearson": pearson(embeddings), "cosine": cosine(embeddings, wanted)}


def pearson(embeddings: Tensor) -> float:
    """Correlation of documents' cosines with people's ratings."""
    similar = (embeddings @ embeddings.T).double().numpy()[lee.pairs()]
    return float(np.corrcoef(similar, lee.ratings())[0, 1])


def summary(runs: list[dict], best: float, worst: float) -> dict:
    """Mean and spread over the draws, and of magnitude's loss the share that is still lost."""
    found = [one["pearson"] for one in runs]
    return {
        "pearson": {
            "mean": statistics.mean(found),
            "spread": statistics.stdev(found) if len(found) > 1 else 0.0,
            "min": min(found),
        },
        "cosine": statistics.mean(one["cosine"]["mean"] for one in runs),
        "share_of_loss": (best - statistics.mean(found)) / (best - worst),
    }


def table(document: dict) -> str:
    """The figures for people."""
    magnitude = document[MAGNITUDE]
    rows = [["2:4 without training", "Pearson", "spread", "of magnitude's loss", "cosine to dense"]]
    rows.append(["dense", f"{document['dense']:.4f}", "", "0%", "1.0000"])
    cells = [f"{magnitude['pearson']:.4f}", "", "100%", f"{magnitude['cosine']['mean']:.4f}"]
    rows.append([MAGNITUDE, *cells])
    for one in document["methods"]:
        found = one["pearson"]
        cells = [f"{found['mean']:.4f}", f"{found['spread']:.4f}", f"{one['share_of_loss']:.0%}"]
        rows.append([one["method"], *cells, f"{one['cosine']:.4f}"])
    return "\n".join(align(rows))
