"""BERT's encoder on torch's own layers, and sentence embeddings from it.

Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers", 2019; Reimers and Gurevych,
"Sentence-BERT", 2019. Modules have the names of published checkpoints, whose state so loads as it
is.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class BertSizes:
    """Sizes of a network, by their names in a published ``config.json``."""

    vocab_size: int
    max_position_embeddings: int
    type_vocab_size: int
    hidden_size: int
    num_attention_heads: int
    intermediate_size: int
    num_hidden_layers: int
    layer_norm_eps: float


class Embeddings(nn.Module):
    """Token numbers (sentences, tokens) to vectors: word + position + type, normalized."""

    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        hidden = sizes.hidden_size
        self.word_embeddings = nn.Embedding(sizes.vocab_size, hidden)
        self.position_embeddings = nn.Embedding(sizes.max_position_embeddings, hidden)
        self.token_type_embeddings = nn.Embedding(sizes.type_vocab_size, hidden)
        self.LayerNorm = nn.LayerNorm(hidden, eps=sizes.layer_norm_eps)

    def forward(self, ids: Tensor) -> Tensor:
        positions = torch.arange(ids.shape[1], device=ids.device)
        kind = self.token_type_embeddings(torch.zeros_like(ids))
        return self.LayerNorm(
            self.word_embeddings(ids) + self.position_embeddings(positions) + kind
        )


class SelfAttention(nn.Module):
    """What each head gathers for each token; shape (sentences, tokens, hidden)."""

    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.heads = sizes.num_attention_heads
        self.query = nn.Linear(sizes.hidden_size, sizes.hidden_size)
        self.key = nn.Linear(sizes.hidden_size, sizes.hidden_size)
        self.value = nn.Linear(sizes.hidden_size, sizes.hidden_size)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        query, key, value = (
            layer(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        weights = scores.masked_fill(~mask[:, None, None], -math.inf).softmax(-1)
        return (weights @ value).transpose(1, 2).flatten(2)


class Residual(nn.Module):
    """A Linear, added to what is led around it, normalized."""

    def __init__(self, inputs: int, sizes: BertSizes) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, sizes.hidden_size)
        self.LayerNorm = nn.LayerNorm(sizes.hidden_size, eps=sizes.layer_norm_eps)

    def forward(self, values: Tensor, around: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(values) + around)


class Attention(nn.Module):
    """Self-attention and the Linear behind it."""

    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.self = SelfAttention(sizes)
        self.output = Residual(sizes.hidden_size, sizes)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        return self.output(self.self(hidden, mask), hidden)


class Intermediate(nn.Module):
    """The wide half of the feed-forward network."""

    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.dense = nn.Linear(sizes.hidden_size, sizes.intermediate_size)

    def forward(self, hidden: Tensor) -> Tensor:
        return F.gelu(self.dense(hidden))


class EncoderLayer(nn.Module):
    """Attention, then the feed-forward network; six Linears."""

    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.attention = Attention(sizes)
        self.intermediate = Intermediate(sizes)
        self.output = Residual(sizes.intermediate_size, sizes)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """Vectors (sentences, tokens, hidden) to such; ``mask`` is False at filler."""
        hidden = self.attention(hidden, mask)
        return self.output(self.intermediate(hidden), hidden)


class Encoder(nn.Module):
    """All layers, one behind the other."""

    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.layer = nn.ModuleList(EncoderLayer(sizes) for _ in range(sizes.num_hidden_layers))

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        for layer in self.layer:
            hidden = layer(hidden, mask)
        return hidden


class SentenceBert(nn.Module):
    """Sentences as vectors of length one: the mean over the encoder's vectors of their tokens."""

    def __init__(self, sizes: BertSizes) -> None:
        super().__init__()
        self.embeddings = Embeddings(sizes)
        self.encoder = Encoder(sizes)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Embed sentences.

        Parameters
        ----------
        ids : int64, shape (sentences, tokens)
            Filled up to the longest sentence.
        mask : bool, same shape
            False where a token is filler.

        Returns
        -------
        shape (sentences, hidden)
        """
        hidden = self.encoder(self.embeddings(ids), mask)
        ones = mask.unsqueeze(-1).to(hidden.dtype)
        return F.normalize((hidden * ones).sum(1) / ones.sum(1), dim=-1)
