"""all-MiniLM-L6-v2, a published sentence transformer: six layers of 384, twelve heads, GELU.

Weights and vocabulary come inside a package that ``make venv`` installs; nothing is downloaded at
run time.
"""

import json
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from sim.bench.bert import BertSizes, SentenceBert
from sim.tools import require

UNUSED = ("embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias")
"""Of the checkpoint: a constant, and a layer that sentence embeddings do not take."""


def load_minilm() -> SentenceBert:
    """The network as published, in eval mode, without gradients."""
    folder = _folder()
    values = json.loads((folder / "config.json").read_text())
    if values["hidden_act"] != "gelu":
        raise ValueError(f"the checkpoint's activation is {values['hidden_act']}")
    network = SentenceBert(BertSizes(**{one.name: values[one.name] for one in fields(BertSizes)}))
    state = load_file(folder / "model.safetensors")
    network.load_state_dict({name: one for name, one in state.items() if name not in UNUSED})
    return network.eval().requires_grad_(False)


def tokenize(sentences: Sequence[str], most: int = 128) -> tuple[Tensor, Tensor]:
    """Token numbers of sentences, and where there are any; int64 and bool, shape (sentences,
    tokens of the longest). Of a sentence no more than the first ``most`` tokens count."""
    require("tokenizers")
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(_folder() / "tokenizer.json"))
    tokenizer.enable_truncation(most)
    tokenizer.enable_padding()
    encoded = tokenizer.encode_batch(list(sentences))
    ids = torch.tensor([one.ids for one in encoded])
    return ids, torch.tensor([one.attention_mask for one in encoded]).bool()


def batches(sentences: Sequence[str], most: int = 128) -> list[tuple[Tensor, Tensor]]:
    """Sentences of the same number of tokens together: as :func:`tokenize`, without any filler."""
    ids, mask = tokenize(sentences, most)
    lengths = mask.sum(1)
    chosen = [(lengths == length, length) for length in lengths.unique()]
    return [(ids[those, :length], mask[those, :length]) for those, length in chosen]


def _folder() -> Path:
    return Path(require("minilm").path) / "model"
