"""LSTMs all the way: compiled, packed, and run by the golden model as by torch."""

import numpy as np
import pytest
import torch
from torch import nn

from spec import image
from spec.eie.config import EieConfig, preset
from spec.eie.golden import GoldenModel, check_batch
from spec.errors import UserError
from sw.compile import compile_network
from sw.compile.eie.check_lstm import check_recurrent
from sw.compile.eie.driver import Result

pytestmark = pytest.mark.unit

ROOM = {"rows": 32, "layers": 8, "codebooks": 8}
CONFIGS = {
    "one segment": preset("tiny", **ROOM),
    "two lanes": preset("tiny", **ROOM, lanes=2),
    "clusters": preset("tiny", **ROOM, pes=8, clusters=4),
    "many segments": preset("tiny", pes=2, columns=20, lines=8, biases=16),
}


class Stack(nn.Module):
    """Two LSTMs and a Linear, behind the last step or behind every one."""

    def __init__(self, *, every_step: bool):
        super().__init__()
        self.lstm = nn.LSTM(5, 7, 2, batch_first=True)
        self.fc = nn.Linear(7, 3)
        self.every_step = every_step

    def forward(self, x):
        outputs, (h, _) = self.lstm(x)
        return torch.relu(self.fc(outputs if self.every_step else h[-1]))


NETWORKS = {
    "last step": lambda: Stack(every_step=False),
    "every step": lambda: Stack(every_step=True),
    "LSTM": lambda: nn.LSTM(5, 7, batch_first=True),
    "LSTMCell": lambda: nn.LSTMCell(5, 7),
}


def shared(module: nn.Module) -> nn.Module:
    """A module whose matrices have few values, most of them zero."""
    with torch.no_grad():
        for weight in module.parameters():
            if weight.ndim == 2:
                unit = weight.abs().max() / 7
                weight.copy_((weight / unit).round() * unit * (torch.rand_like(weight) < 0.5))
    return module


def compiled(name: str, config: EieConfig, rng: np.random.Generator) -> tuple[Result, np.ndarray]:
    torch.manual_seed(int(rng.integers(1 << 31)))
    samples = rng.standard_normal((3, 6, 5)).astype(np.float32)
    return compile_network(shared(NETWORKS[name]()), samples, config), samples


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("name", NETWORKS)
def test_an_lstm_computes_what_torch_does(rng, name, config):
    """The compiler holds the image to the integer reference; that is near the network itself."""
    result, samples = compiled(name, config, rng)
    assert result.steps[-1].total < 2e-3
    program = image.from_bytes(image.to_bytes(result.program))
    assert (len(program.segments) > 1) == (config is CONFIGS["many segments"])
    batch = np.rint(samples / program.layers[0].input_scale).astype(np.int64)
    outputs, counts = GoldenModel(program).run(batch)
    steps = (6,) if name != "last step" else ()
    assert outputs.shape == (3, *steps, program.outputs)
    times = -(-3 // config.lanes)
    for (_, _, step), count in zip(program.passes(), counts, strict=True):
        assert len(count.array) == times * (6 if step.layer < program.per_step else 1)


def test_the_two_parts_have_codebooks_of_their_own(rng):
    result, _ = compiled("LSTM", CONFIGS["one segment"], rng)
    (segment,) = result.program.segments
    first, second = segment.passes
    assert first.descriptor.codebook != second.descriptor.codebook
    assert second.first_input == 8  # 5 inputs, in rows of 4 PEs
    assert not first.descriptor.drain
    assert second.descriptor.drain


def test_unpacked_weights_are_both_matrices_in_torchs_order(rng):
    result, _ = compiled("LSTM", CONFIGS["clusters"], rng)
    (layer,) = result.program.layers
    (dense,) = image.unpack(result.program).values()
    assert dense.shape == (28, 5 + 7)
    assert np.count_nonzero(dense) == layer.weights


def test_a_wrong_image_is_noticed(rng):
    result, _ = compiled("LSTM", CONFIGS["one segment"], rng)
    with pytest.raises(RuntimeError, match="an LSTM computes other bits"):
        check_recurrent(result.program, [], np.ones((1, 2, 5), np.int64))


@pytest.mark.parametrize("shape", [(3, 5), (3, 0, 5), (3, 6, 4)])
def test_a_batch_that_is_no_sequence(rng, shape):
    result, _ = compiled("LSTM", CONFIGS["one segment"], rng)
    with pytest.raises(UserError, match=r"must be \(images, steps, 5\)"):
        check_batch(result.program, np.zeros(shape, np.int64))
