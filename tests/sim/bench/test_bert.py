"""The encoder is BERT's: torch's own layer, with the same weights, gives the same."""

import pytest
import torch
from torch import nn

from sim.bench.bert import BertSizes, EncoderLayer, SentenceBert

pytestmark = pytest.mark.unit

SIZES = BertSizes(
    vocab_size=50,
    max_position_embeddings=12,
    type_vocab_size=2,
    hidden_size=24,
    num_attention_heads=3,
    intermediate_size=40,
    num_hidden_layers=2,
    layer_norm_eps=1e-3,
)


def _torchs(layer: EncoderLayer) -> nn.TransformerEncoderLayer:
    """The same layer as torch has it, where query, key and value are one matrix."""
    theirs = nn.TransformerEncoderLayer(
        SIZES.hidden_size,
        SIZES.num_attention_heads,
        SIZES.intermediate_size,
        activation="gelu",
        layer_norm_eps=SIZES.layer_norm_eps,
        batch_first=True,
    ).eval()
    own = layer.attention.self
    attention = (own.query, own.key, own.value)
    parts = {
        "self_attn.in_proj_": {
            "weight": torch.cat([one.weight for one in attention]),
            "bias": torch.cat([one.bias for one in attention]),
        },
        "self_attn.out_proj.": layer.attention.output.dense.state_dict(),
        "norm1.": layer.attention.output.LayerNorm.state_dict(),
        "linear1.": layer.intermediate.dense.state_dict(),
        "linear2.": layer.output.dense.state_dict(),
        "norm2.": layer.output.LayerNorm.state_dict(),
    }
    theirs.load_state_dict({a + b: one for a, part in parts.items() for b, one in part.items()})
    return theirs


def _network(seed: int) -> SentenceBert:
    """Random, normalizations included: else their weights are ones."""
    torch.manual_seed(seed)
    network = SentenceBert(SIZES).eval()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.4)
    return network.requires_grad_(False)


def _tokens(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Three sentences of 9, 5 and 1 tokens."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(SIZES.vocab_size, (3, 9), generator=generator)
    return ids, torch.arange(9) < torch.tensor([[9], [5], [1]])


def test_layer_equals_torchs_own(seed: int):
    layer = _network(seed).encoder.layer[0]
    _, mask = _tokens(seed)
    hidden = torch.randn(3, 9, SIZES.hidden_size, generator=torch.Generator().manual_seed(seed))
    expected = _torchs(layer)(hidden, src_key_padding_mask=~mask)
    torch.testing.assert_close(layer(hidden, mask)[mask], expected[mask], rtol=1e-4, atol=1e-4)


def test_embedding_is_the_mean_of_all_layers_output(seed: int):
    network, (ids, mask) = _network(seed), _tokens(seed)
    words = network.embeddings.word_embeddings(ids)
    places = network.embeddings.position_embeddings.weight[: ids.shape[1]]
    kind = network.embeddings.token_type_embeddings.weight[0]
    hidden = network.embeddings.LayerNorm(words + places + kind)
    for layer in network.encoder.layer:
        hidden = layer(hidden, mask)
    for sentence, count in enumerate(mask.sum(1).tolist()):
        mean = hidden[sentence, :count].mean(0)
        found = network(ids, mask)[sentence]
        torch.testing.assert_close(found, mean / mean.norm(), rtol=1e-4, atol=1e-5)


def test_filler_changes_nothing(seed: int):
    network, (ids, mask) = _network(seed), _tokens(seed)
    found = network(ids, mask)
    other = torch.where(mask, ids, (ids + 7) % SIZES.vocab_size)
    torch.testing.assert_close(network(other, mask), found)
    alone = network(ids[1:2, :5], mask[1:2, :5])
    torch.testing.assert_close(alone, found[1:2], rtol=1e-4, atol=1e-5)
