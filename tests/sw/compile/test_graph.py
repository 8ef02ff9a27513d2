"""The walk along an exported graph: every supported operation, every refusal."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize, prune

from spec.errors import UserError
from sw.compile.capture import capture
from tests.sw.compile.networks import dense, export, set_weights

pytestmark = pytest.mark.unit


class Network(nn.Module):
    """A network from a function of itself and its input."""

    def __init__(self, forward, **parts: nn.Module) -> None:
        super().__init__()
        self.function = forward
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x):
        return self.function(self, x)


def check(module: nn.Module, rng, *shape: int):
    """Capture a module and hold it against torch in float64."""
    set_weights(module, rng)
    samples = rng.normal(size=(5, *shape))
    network = capture(module, samples)
    acts = samples.reshape(5, -1)
    for layer in network.layers:
        acts = layer(acts)
    wanted = copy.deepcopy(module).double()(torch.from_numpy(samples)).detach().numpy()
    np.testing.assert_allclose(acts, wanted, atol=1e-6)
    return dense(network)


FORMS = {
    "module": lambda m, x: m.b(m.relu(m.a(x))),
    "functional": lambda m, x: m.b(F.relu(m.a(x))),
    "torch": lambda m, x: m.b(torch.relu(m.a(x))),
    "method": lambda m, x: m.b(m.a(x).relu()),
    "in place": lambda m, x: m.b(F.relu(m.a(x), inplace=True)),
    "twice": lambda m, x: m.b(m.a(x).relu().relu()),
    "view": lambda m, x: m.b(m.a(x.view(x.size(0), -1)).relu()),
    "view of a size": lambda m, x: m.b(m.a(x.view(-1, 12)).relu()),
    "reshape": lambda m, x: m.b(m.a(x.reshape(len(x), 12)).relu()),
    "flatten": lambda m, x: m.b(torch.flatten(m.a(torch.flatten(x, 1)).relu(), 1)),
    "dropout": lambda m, x: m.b(F.dropout(m.a(x).relu(), training=m.training)),
    "identity": lambda m, x: m.b(nn.Identity()(m.a(x).relu())),
    "there and back": lambda m, x: m.b(m.a(x.view(-1, 3, 4).flatten(1)).relu()),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_a_network(form, rng):
    parts = {"a": nn.Linear(12, 6), "relu": nn.ReLU(), "b": nn.Linear(6, 3, bias=False)}
    layers = check(Network(FORMS[form], **parts), rng, 12)
    assert [(layer.name, layer.relu) for layer in layers] == [("a", True), ("b", False)]
    assert not layers[1].bias.any()


def test_names(rng):
    twice = Network(lambda m, x: m.a(m.a(x).relu()), a=nn.Linear(4, 4))
    assert [layer.name for layer in check(twice, rng, 4)] == ["a", "a#2"]
    assert [layer.name for layer in check(nn.Linear(4, 2), rng, 4)] == ["linear"]
    functional = Network(lambda m, x: F.linear(F.linear(x, m.first), m.second))
    for name in ("first", "second"):
        functional.register_parameter(name, nn.Parameter(torch.ones(3, 3)))
    assert [layer.name for layer in check(functional, rng, 3)] == ["first", "second"]
    nested = nn.Sequential(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), nn.Linear(3, 2))
    assert [layer.name for layer in check(nested, rng, 4)] == ["0.0", "1"]


@pytest.mark.parametrize("affine", [True, False])
def test_batch_norm_folds_into_the_layer_in_front(rng, affine):
    parts = [nn.Linear(6, 5), nn.BatchNorm1d(5, affine=affine), nn.ReLU(), nn.Linear(5, 3)]
    layers = check(nn.Sequential(*parts), rng, 6)
    assert [layer.folded for layer in layers] == [("1",), ()]
    assert [layer.relu for layer in layers] == [True, False]


def test_batch_norm_folds_into_the_layer_behind(rng):
    parts = [nn.Linear(6, 5), nn.ReLU(), nn.BatchNorm1d(5), nn.Dropout(), nn.Linear(5, 3)]
    layers = check(nn.Sequential(*parts), rng, 6)
    assert [layer.folded for layer in layers] == [(), ("2",)]
    first = nn.Sequential(nn.BatchNorm1d(6), nn.BatchNorm1d(6), nn.Linear(6, 3, bias=False))
    assert check(first, rng, 6)[0].folded == ("0, 1",)


def test_pruning_masks_and_parametrizations_are_part_of_the_weight(rng):
    class Halve(nn.Module):
        def forward(self, weight):
            return torch.cat([weight[:1] / 2, weight[1:]])

    module = set_weights(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)), rng)
    prune.l1_unstructured(module[0], "weight", 0.5)
    parametrize.register_parametrization(module[2], "weight", Halve())
    network = capture(module, rng.normal(size=(3, 6)))
    assert np.count_nonzero(dense(network)[0].weight) <= 15
    for layer, at in zip(dense(network), (0, 2), strict=True):
        weight = torch.as_tensor(module[at].weight).detach().numpy()
        np.testing.assert_array_equal(layer.weight, weight)


def linear(inputs: int = 6, outputs: int = 6) -> nn.Linear:
    return nn.Linear(inputs, outputs)


REFUSED = {
    "other activation": (
        nn.Sequential(linear(), nn.GELU()),
        "layer 1: aten.gelu.default is not supported; the compiler takes Conv2d, MaxPool2d behind "
        "one, Linear, ReLU, Flatten",
    ),
    "nested module": (
        nn.Sequential(linear(), nn.Sequential(linear(), nn.Sigmoid())),
        r"layer 1\.1: aten.sigmoid",
    ),
    "functional": (
        Network(lambda m, x: F.log_softmax(m.a(x), 1), a=linear()),
        "the network's forward: aten.log_softmax",
    ),
    "residual": (
        Network(lambda m, x: x + m.a(x), a=linear()),
        r"input x: its result goes to 2 places \(layer a \(aten.linear.default\), the network's",
    ),
    "branch": (
        Network(lambda m, x: m.b(m.a(x)) + m.c(m.a(x)), a=linear(), b=linear(), c=linear()),
        "goes to 2 places",
    ),
    "two inputs of a layer": (
        Network(lambda m, x: F.linear(x, x)),
        "linear.weight: depends on the network's input",
    ),
    "two results": (Network(lambda m, x: (m.a(x), m.a(x)), a=linear()), "goes to 2 places"),
    "result and input": (
        Network(lambda m, x: (y := m.a(x), m.a(y)), a=linear()),
        r"layer a: its result goes to 2 places .*output",
    ),
    "ReLU first": (nn.Sequential(nn.ReLU(), linear()), "layer 0: a ReLU in front of the first"),
    "no layer": (nn.Sequential(nn.Flatten()), "the network has no layer with weights"),
    "BatchNorm between ReLUs": (
        nn.Sequential(linear(), nn.ReLU(), nn.BatchNorm1d(6), nn.ReLU(), linear()),
        r"layer 2: a BatchNorm folds into .* here layer 3 \(aten.relu.default\) follows",
    ),
    "BatchNorm last": (
        nn.Sequential(linear(), nn.ReLU(), nn.BatchNorm1d(6)),
        "layer 2: a BatchNorm .* here the output follows",
    ),
    "BatchNorm without statistics": (
        nn.Sequential(linear(), nn.BatchNorm1d(6, track_running_stats=False)),
        "layer 1: aten.batch_norm.default was exported in training mode",
    ),
    "mixing samples": (
        Network(lambda m, x: m.a(x.view(-1, 3)), a=linear(3)),
        r"aten.view.default from \(2, 6\) to \(4, 3\) mixes samples",
    ),
    "flattened to nothing": (Network(lambda m, x: m.a(x.flatten()), a=linear(12)), "mixes samples"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    module, message = REFUSED[case]
    with pytest.raises(UserError, match=message):
        capture(module.eval(), np.ones((2, 6)))


def test_dimensions_that_are_refused():
    with pytest.raises(UserError, match="layer 0: a Linear along the last of 3 dimensions"):
        capture(nn.Sequential(linear()), np.ones((2, 4, 6)))
    with pytest.raises(UserError, match="layer 0: only BatchNorm1d on"):
        capture(nn.Sequential(nn.BatchNorm1d(4), nn.Flatten(), linear(24)), np.ones((2, 4, 6)))
    module = nn.Sequential(nn.BatchNorm3d(2), nn.Flatten(), linear(24))
    with pytest.raises(UserError, match="layer 0: only BatchNorm1d on"):
        capture(module, np.ones((2, 2, 3, 2, 2)))


def test_a_program_exported_in_training_mode():
    module = nn.Sequential(linear(), nn.Dropout()).train()
    program = torch.export.export(module, (torch.ones(2, 6),))
    with pytest.raises(UserError, match=r"layer 1: aten.dropout.default .* call eval\(\)"):
        capture(program)


def test_several_inputs_or_outputs():
    class Two(nn.Module):
        def forward(self, x, y):
            return x

    program = torch.export.export(Two(), (torch.ones(2, 3), torch.ones(2, 3)))
    with pytest.raises(UserError, match="takes 2 inputs, it must take one tensor"):
        capture(program)
    same = Network(lambda m, x: (y := m.a(x), y), a=linear())
    with pytest.raises(UserError, match="returns 2 results"):
        capture(same, np.ones((2, 6)))


@pytest.mark.parametrize("form", [lambda y: {"y": y}, lambda y: (y,), lambda y: [y]])
def test_a_result_inside_something(form):
    module = Network(lambda m, x: form(m.a(x)), a=linear()).eval()
    for model in (module, export(module, 2, 6)):
        with pytest.raises(UserError, match=r"returns a (dict|tuple|list), it must return one ten"):
            capture(model, np.ones((2, 6)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("0.weight", r"0.weight: 1 of 36 values are not finite, the first is nan at \[2, 3\]"),
        ("1.running_var", "1.running_var: 1 of 6 values are not finite"),
    ],
)
def test_values_that_are_not_finite(name, message):
    module = nn.Sequential(linear(), nn.BatchNorm1d(6)).eval()
    module.state_dict()[name].view(-1)[15 if name == "0.weight" else 3] = torch.nan
    with pytest.raises(UserError, match=message):
        capture(module, np.ones((2, 6)))
