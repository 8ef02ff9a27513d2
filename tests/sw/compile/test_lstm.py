"""Capture of recurrent networks: every form that is taken, every refusal."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from spec.errors import UserError
from sw.compile.calibrate import sequence_samples
from sw.compile.capture import capture
from sw.compile.network import FloatLstm, Network, check_chain
from tests.sw.compile.networks import export, save_exported, set_weights

pytestmark = pytest.mark.unit


class Recurrent(nn.Module):
    """An LSTM and two Linears, around a function of these and the input."""

    def __init__(self, forward, **options) -> None:
        super().__init__()
        self.function = forward
        self.lstm = nn.LSTM(5, 6, **{"batch_first": True, **options})
        self.first, self.fc = nn.Linear(5, 5), nn.Linear(6, 3)

    def forward(self, x):
        return self.function(self, x)


def last(m, x):
    return m.fc(m.lstm(x)[0][:, -1])


def run_layers(network: Network, acts: np.ndarray) -> np.ndarray:
    for layer in network.layers:
        acts = layer(acts)
    return acts


def check(module: nn.Module, rng, samples: np.ndarray, model=None) -> Network:
    """Capture a module, or what ``model`` makes of it, and hold it against torch in float64."""
    set_weights(module, rng)
    network = capture(module if model is None else model(module), samples)
    wanted = copy.deepcopy(module).double()(torch.from_numpy(samples))
    wanted = (wanted[0] if isinstance(wanted, tuple) else wanted).detach().numpy()
    if not network.batch_first and wanted.ndim == 3:
        wanted = wanted.swapaxes(0, 1)
    sequences = sequence_samples(samples, network)
    np.testing.assert_allclose(run_layers(network, sequences), wanted, atol=1e-9)
    assert network.run
    np.testing.assert_allclose(network.run(sequences), wanted, atol=1e-5)
    assert network.recurrent
    return network


def summary(network: Network) -> list[tuple[str, str]]:
    return [(layer.name, getattr(layer, "returns", "fc")) for layer in network.layers]


FORMS = {
    "last step": (last, {}, "last"),
    "last step, all sizes": (lambda m, x: m.fc(m.lstm(x)[0][:, -1, :]), {}, "last"),
    "last step by number": (lambda m, x: m.fc(m.lstm(x)[0][:, x.shape[1] - 1]), {}, "last"),
    "last step of the outputs": (lambda m, x: m.fc(m.lstm(x)[0])[:, -1].relu(), {}, "last"),
    "without biases": (last, {"bias": False}, "last"),
    "every step": (lambda m, x: m.fc(m.lstm(x)[0]).relu(), {}, "sequence"),
    "state h": (lambda m, x: m.fc(m.lstm(x)[1][0][-1]), {}, "last"),
    "state h squeezed": (lambda m, x: m.fc(m.lstm(x)[1][0].squeeze(0)), {}, "last"),
    "state h viewed": (lambda m, x: m.fc(m.lstm(x)[1][0].view(-1, 6)), {}, "last"),
    "zeros of its own": (
        lambda m, x: m.fc(
            m.lstm(x, (x.new_zeros(1, 1, 6).repeat(1, 4, 1), torch.zeros(1, 4, 6)))[0]
        ),
        {},
        "sequence",
    ),
    "nothing behind": (lambda m, x: m.lstm(x)[0], {}, "sequence"),
    "all results": (lambda m, x: m.lstm(x), {}, "sequence"),
    "steps of two dimensions": (
        lambda m, x: m.fc(m.lstm(x.view(4, 7, 1, 5).flatten(2))[0]),
        {},
        "sequence",
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_a_network(form, rng):
    forward, options, returns = FORMS[form]
    samples = rng.normal(size=(4, 7, 5))
    network = check(Recurrent(forward, **options), rng, samples)
    assert summary(network)[0] == ("lstm", returns)
    assert (network.batch_first, network.steps) == (True, None)
    exported = check(Recurrent(forward, **options), rng, samples, lambda m: export(m, 4, 7, 5))
    assert summary(exported) == summary(network)
    assert exported.steps == 7


@pytest.mark.parametrize("batch", [1, 3])
def test_an_exported_program_runs_in_its_own_batches(batch, rng, tmp_path):
    def saved(module):
        save_exported(module, tmp_path / "m.pt2", batch, 7, 5)
        return tmp_path / "m.pt2"

    check(Recurrent(last, num_layers=2), rng, rng.normal(size=(4, 7, 5)), saved)


def test_a_program_with_a_free_batch(rng):
    def free(module):
        return export(module, 2, 7, 5, dynamic_shapes=({0: torch.export.Dim("batch")},))

    network = check(Recurrent(last, num_layers=2), rng, rng.normal(size=(9, 7, 5)), free)
    assert summary(network) == [("lstm.l0", "sequence"), ("lstm.l1", "last"), ("fc", "fc")]


@pytest.mark.parametrize("every", [False, True])
def test_steps_first(every, rng):
    module = Recurrent(
        lambda m, x: m.fc(m.lstm(x)[0] if every else m.lstm(x)[0][-1]), batch_first=False
    )
    samples = rng.normal(size=(7, 4, 5))
    assert not check(module, rng, samples).batch_first
    assert check(module, rng, samples, lambda m: export(m, 7, 3, 5)).steps == 7


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("batch_first", [False, True])
def test_an_lstm_by_itself(count, batch_first, rng):
    module = nn.LSTM(5, 6, count, batch_first=batch_first, dropout=0.5 if count > 1 else 0)
    network = check(module.train(), rng, rng.normal(size=(7, 4, 5)))
    names = ["lstm.l0", "lstm.l1", "lstm.l2"] if count > 1 else ["lstm"]
    assert summary(network) == [(name, "sequence") for name in names]
    assert network.notes == ("lstm: took its output, not its states after the last step",)


def test_layers_in_front_and_several_lstms(rng):
    module = Recurrent(lambda m, x: m.lstm2(m.lstm(m.first(x).relu())[0])[0][:, -1])
    module.lstm2 = nn.LSTM(6, 4, batch_first=True)
    network = check(module, rng, rng.normal(size=(4, 7, 5)))
    assert summary(network) == [("first", "fc"), ("lstm", "sequence"), ("lstm2", "last")]
    twice = Recurrent(lambda m, x: m.lstm(m.lstm(x)[0])[0])
    twice.lstm = nn.LSTM(5, 5, 2, batch_first=True)
    network = check(twice, rng, rng.normal(size=(4, 7, 5)))
    assert [layer.name for layer in network.layers] == [
        "lstm.l0",
        "lstm.l1",
        "lstm#2.l0",
        "lstm#2.l1",
    ]


def test_parameters_come_over_exactly(rng):
    module = set_weights(Recurrent(last), rng)
    prune.l1_unstructured(module.lstm, "weight_hh_l0", 0.5)
    layer = capture(module, rng.normal(size=(4, 7, 5))).layers[0]
    assert isinstance(layer, FloatLstm)
    lstm = module.lstm
    np.testing.assert_array_equal(layer.weight_ih, lstm.weight_ih_l0.detach().double())
    np.testing.assert_array_equal(layer.weight_hh, lstm.weight_hh_l0.detach().double())
    biases = lstm.bias_ih_l0.detach().double() + lstm.bias_hh_l0.detach().double()
    np.testing.assert_array_equal(layer.bias, biases)
    assert (layer.inputs, layer.hidden, layer.outputs) == (5, 6, 6)
    assert np.count_nonzero(layer.weight_hh) < 24 * 6 / 2 + 1


def test_a_batch_norm_behind_the_last_step(rng):
    module = Recurrent(lambda m, x: m.fc(m.norm(m.lstm(x)[0][:, -1])))
    module.norm = nn.BatchNorm1d(6)
    assert check(module, rng, rng.normal(size=(4, 7, 5))).layers[1].folded == ("norm",)


def stated(state):
    """An LSTM that starts from a state c."""
    return lambda m, x: m.fc(m.lstm(x, (torch.zeros(1, 4, 6), state(m, x)))[0])


REFUSED = {
    "bidirectional": (
        Recurrent(lambda m, x: m.lstm(x)[0], bidirectional=True),
        "layer lstm: an LSTM must have one direction, it is bidirectional",
    ),
    "projection": (
        Recurrent(lambda m, x: m.lstm(x)[0], proj_size=3),
        "layer lstm: an LSTM must have h and c of one size, it has proj_size",
    ),
    "GRU": (
        nn.GRU(5, 6),
        r"aten.gru.input is not supported; the compiler takes LSTM, LSTMCell, the last step",
    ),
    "RNN": (nn.Sequential(nn.RNN(5, 6)), r"layer 0: aten.rnn_tanh.input is not supported; the"),
    "state c": (
        Recurrent(lambda m, x: m.fc(m.lstm(x)[1][1][-1])),
        "layer lstm: the state c of an LSTM is used; the compiler takes its output",
    ),
    "two results": (
        Recurrent(lambda m, x: m.fc(m.lstm(x)[0][:, -1] + m.lstm(x)[1][0][-1])),
        "goes to 2 places",
    ),
    "output and state": (
        Recurrent(lambda m, x: (lambda y, s: m.fc(y[:, -1] + s[0][-1]))(*m.lstm(x))),
        "layer lstm: 2 results of an LSTM are used; the compiler takes one, its output or its",
    ),
    "results in another order": (
        Recurrent(lambda m, x: m.lstm(x)[::-1]),
        "layer lstm: 3 results of an LSTM are used",
    ),
    "first step": (
        Recurrent(lambda m, x: m.fc(m.lstm(x)[0][:, 0])),
        r"takes number 0 along dimension 1 of \(4, 7, 6\); behind an LSTM the compiler takes the l",
    ),
    "last sample": (Recurrent(lambda m, x: m.fc(m.lstm(x)[0][-1])), "takes number -1 along dimen"),
    "first layer's state": (
        Recurrent(lambda m, x: m.fc(m.lstm(x)[1][0][0]), num_layers=2),
        r"takes number 0 along dimension 0 of \(2, 4, 6\)",
    ),
    "states of all layers": (
        Recurrent(lambda m, x: m.lstm(x)[1][0], num_layers=2),
        r"the network returns the last states h of all layers of an LSTM, .*: h\[-1\]",
    ),
    "Linear on the states of all layers": (
        Recurrent(lambda m, x: m.fc(m.lstm(x)[1][0])),
        r"layer fc: a Linear on the last states h of all layers is not .*: h\[-1\]",
    ),
    "states of all layers in one": (
        Recurrent(lambda m, x: m.lstm(x)[1][0].flatten(1), num_layers=2),
        r"flatten.using_ints from \(2, 4, 6\) to \(2, 24\) mixes steps or layers; only",
    ),
    "all steps in one": (
        Recurrent(lambda m, x: m.lstm(x)[0].flatten(1)),
        r"from \(4, 7, 6\) to \(4, 42\) mixes steps or layers; only flattening within each step",
    ),
    "last steps": (Recurrent(lambda m, x: m.fc(m.lstm(x)[0][:, -1:])), "aten.slice.Tensor is not"),
    "sum": (Recurrent(lambda m, x: m.lstm(x)[0].sum(2)), "aten.sum.dim_IntList is not supp"),
    "ReLU": (Recurrent(lambda m, x: m.lstm(x)[0].relu()), "a ReLU right behind an LSTM is not"),
    "mixed steps": (
        Recurrent(lambda m, x: m.other(m.lstm(x)[0])[0]),
        "layer other: batch_first = False, but layer lstm in front of it has True",
    ),
    "no batch": (Recurrent(lambda m, x: m.lstm(x[0])[0]), "takes number 0 along dimension 0"),
    "given state": (
        Recurrent(stated(lambda m, x: torch.ones(1, 4, 6))),
        "layer lstm: starts from a state c that is given or learned, an LSTM must start from zeros",
    ),
    "learned state": (Recurrent(stated(lambda m, x: m.first.weight[:1, :1].expand(1, 4, 6))), None),
    "state of the input": (Recurrent(stated(lambda m, x: x[None, :, 0, :1].expand(1, 4, 6))), None),
}
REFUSED["mixed steps"][0].other = nn.LSTM(6, 6)


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    module, message = REFUSED[case]
    with pytest.raises(UserError, match=message or "starts from a state c|goes to . places"):
        capture(module.eval(), np.ones((4, 7, 5)))


def test_training_mode_is_refused_only_where_it_matters():
    for options, refused in (({"num_layers": 2, "dropout": 0.5}, True), ({}, False)):
        program = export(Recurrent(last, **options).train(), 4, 7, 5)
        if refused:
            with pytest.raises(
                UserError, match=r"layer lstm: aten.lstm.input was .* call eval\(\)"
            ):
                capture(program)
        else:
            capture(program)


@pytest.mark.filterwarnings("ignore:The tensor attributes")
def test_states_as_inputs_are_refused():
    states = torch.zeros(1, 4, 6), torch.zeros(1, 4, 6)
    program = torch.export.export(nn.LSTM(5, 6).eval(), (torch.zeros(7, 4, 5), states))
    with pytest.raises(UserError, match="takes 3 inputs, it must take one tensor"):
        capture(program)


def test_results_under_a_name_are_refused():
    def named(m, x):
        output, (h, c) = m.lstm(x)
        return {"output": output, "h": h, "c": c}

    with pytest.raises(UserError, match="layer lstm: 3 results of an LSTM are used"):
        capture(Recurrent(named).eval(), np.ones((4, 7, 5)))


def test_values_that_are_not_finite():
    module = Recurrent(last)
    module.lstm.weight_hh_l0.data[2, 3] = torch.nan
    message = r"lstm.weight_hh: 1 of 144 values are not finite, the first is nan at \[2, 3\]"
    with pytest.raises(UserError, match=message):
        capture(module, np.ones((4, 7, 5)))


def test_sizes_that_do_not_fit():
    def lstm(hidden, gates, inputs=5, bias=24):
        zeros = np.zeros
        return FloatLstm(
            name="lstm",
            weight_ih=zeros((gates, inputs)),
            weight_hh=zeros((gates, hidden)),
            bias=zeros(bias),
            returns="last",
        )

    assert len(check_chain([lstm(6, 24), lstm(6, 24, 6)])) == 2
    for wrong in (lstm(5, 24), lstm(6, 24, bias=23), lstm(6, 24, 0), lstm(0, 0, bias=0)):
        with pytest.raises(UserError, match=r"layer lstm: weights and bias of shapes .*must be"):
            check_chain([wrong])
    with pytest.raises(UserError, match="layer lstm takes 5 inputs, but layer lstm .* 6 outputs"):
        check_chain([lstm(6, 24), lstm(6, 24)])
