"""Channel permutation of a BERT: it computes the same function, and N:M keeps more of it.

Three kinds of channels may change places. The hidden units of each feed-forward network, by rows of
the first Linear and columns of the second; what each head gathers, within the head, by rows of
``value`` and columns of the Linear behind; and the vectors between layers, everywhere alike.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn
from tqdm import tqdm

from sim.bench.bert import EncoderLayer, SentenceBert
from sw.compress.permutation import search

PREFIX = "encoder.layer.{}."
ROWS = 2048
"""Of the layers that read the vectors between layers together, so many rows are searched with."""

SWAPS = 0
"""Of the search's annealing. Without it that takes half the time and gains nearly as much."""


def reordered(
    network: SentenceBert, scores: Mapping[str, Tensor], n: int, m: int, *, seed: int
) -> tuple[Tensor, SentenceBert]:
    """A copy in an order in which an N:M mask keeps more of these scores.

    Parameters
    ----------
    scores : mapping of layer name to Tensor
        What each weight of each Linear is worth.
    seed : int
        Of the search.

    Returns
    -------
    order : Tensor
        Element ``k`` of the copy's embeddings is element ``order[k]`` of the network's.
    SentenceBert
    """
    other = deepcopy(network)
    with torch.no_grad():
        vectors = search(_thinned(_between(network, scores)), n, m, seed, SWAPS)
        _reorder_vectors(other, vectors)
        layers = list(enumerate(other.encoder.layer))
        for number, layer in tqdm(layers, "permutations", leave=False):
            assert isinstance(layer, EncoderLayer)
            prefix = PREFIX.format(number)
            hidden = search(scores[prefix + "output.dense"], n, m, seed, SWAPS)
            _rows(layer.intermediate.dense, hidden)
            _columns(layer.output.dense, hidden)
            heads = layer.attention.self.heads
            gathered = scores[prefix + "attention.output.dense"].chunk(heads, 1)
            width = gathered[0].shape[1]
            orders = [
                search(one, n, m, seed, SWAPS) + width * at for at, one in enumerate(gathered)
            ]
            _rows(layer.attention.self.value, torch.cat(orders))
            _columns(layer.attention.output.dense, torch.cat(orders))
    return vectors, other


def _between(network: SentenceBert, scores: Mapping[str, Tensor]) -> Iterator[Tensor]:
    """Scores of all layers that read the vectors between layers."""
    for number in range(len(network.encoder.layer)):
        prefix = PREFIX.format(number)
        for name in ("attention.self.query", "attention.self.key", "attention.self.value"):
            yield _fair(scores[prefix + name])
        yield _fair(scores[prefix + "intermediate.dense"])


def _fair(scores: Tensor) -> Tensor:
    """With a mean row of 1, as layers differ in how large their inputs are."""
    return scores / scores.sum(1).mean()


def _thinned(scores: Iterator[Tensor]) -> Tensor:
    """Every so many rows of all of them together."""
    stacked = torch.cat(list(scores))
    return stacked[:: -(-len(stacked) // ROWS)]


def _reorder_vectors(network: SentenceBert, order: Tensor) -> None:
    """All that writes or reads the vectors between layers, in place."""
    parts = network.embeddings
    for table in (parts.word_embeddings, parts.position_embeddings, parts.token_type_embeddings):
        table.weight.data = table.weight[:, order]
    norms = [parts.LayerNorm]
    for layer in network.encoder.layer:
        assert isinstance(layer, EncoderLayer)
        attention = layer.attention
        for reader in (attention.self.query, attention.self.key, attention.self.value):
            _columns(reader, order)
        _rows(attention.output.dense, order)
        _columns(layer.intermediate.dense, order)
        _rows(layer.output.dense, order)
        norms += [attention.output.LayerNorm, layer.output.LayerNorm]
    for norm in norms:
        norm.weight.data, norm.bias.data = norm.weight[order], norm.bias[order]


def _rows(layer: nn.Linear, order: Tensor) -> None:
    layer.weight.data, layer.bias.data = layer.weight[order], layer.bias[order]


def _columns(layer: nn.Linear, order: Tensor) -> None:
    layer.weight.data = layer.weight[:, order]
