"""Capture: modules, saved programs and files of weights; the same layers from each."""

import copy
import zipfile
from itertools import pairwise

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from spec.errors import UserError
from sw.compile.capture import capture, from_state_dict
from tests.sw.compile.networks import dense, export, run_original, save_exported, set_weights

pytestmark = pytest.mark.unit


@pytest.fixture
def module(rng) -> nn.Sequential:
    layers = [nn.Linear(12, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 4)]
    return set_weights(nn.Sequential(nn.Flatten(), *layers), rng)


@pytest.fixture
def samples(rng) -> np.ndarray:
    return rng.normal(size=(7, 3, 4)).astype(np.float32)


def state_dict(*sizes: int) -> dict[str, torch.Tensor]:
    """Weights of layers a, b, c... of ones, with biases."""
    weights = {}
    for name, inputs, outputs in zip("abcdefg", sizes, sizes[1:], strict=False):
        weights |= {f"{name}.weight": torch.ones(outputs, inputs)}
        weights |= {f"{name}.bias": torch.ones(outputs)}
    return weights


def check_against(module, network, samples):
    acts = samples.reshape(len(samples), -1).astype(np.float64)
    for layer in network.layers:
        acts = layer(acts)
    wanted = (
        copy.deepcopy(module)
        .double()(torch.from_numpy(samples.astype(np.float64)))
        .detach()
        .numpy()
    )
    np.testing.assert_allclose(acts, wanted, atol=1e-9)
    return wanted


def test_a_module_is_exported_and_left_as_it_was(module, samples):
    module.train()
    module[3].eval()
    network = capture(module, samples)
    assert [part.training for part in module] == [True, True, True, False, True]
    assert [layer.name for layer in network.layers] == ["1", "4"]
    assert [layer.relu for layer in dense(network)] == [True, False]
    module.eval()
    given = run_original(network, samples)
    wanted = check_against(module, network, samples)
    np.testing.assert_allclose(given, wanted, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 2, 16])
def test_an_exported_program_runs_in_its_own_batches(module, samples, tmp_path, batch):
    save_exported(module, tmp_path / "m.pt2", batch, 3, 4)
    network = capture(tmp_path / "m.pt2")
    wanted = check_against(module, network, samples)
    np.testing.assert_allclose(run_original(network, samples), wanted, atol=1e-5)


def test_a_program_with_a_free_batch(module, samples):
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(module, (torch.zeros(2, 3, 4),), dynamic_shapes=shapes)
    network = capture(program)
    wanted = check_against(module, network, samples)
    np.testing.assert_allclose(run_original(network, samples), wanted, atol=1e-5)


@pytest.mark.parametrize("smallest", [1, 3])
def test_a_program_with_a_bounded_batch(module, samples, smallest):
    shapes = ({0: torch.export.Dim("batch", min=smallest, max=4)},)
    program = torch.export.export(module, (torch.zeros(3, 3, 4),), dynamic_shapes=shapes)
    network = capture(program)
    for count in (1, 7):
        wanted = check_against(module, network, samples[:count])
        np.testing.assert_allclose(run_original(network, samples[:count]), wanted, atol=1e-5)


def test_a_program_that_does_not_run_on_the_number_of_samples(module, samples, monkeypatch):
    def refuse(batch):
        raise AssertionError("Guard failed")

    network = capture(export(module, 4, 3, 4))
    monkeypatch.setattr(torch.export.ExportedProgram, "module", lambda program: refuse)
    with pytest.raises(UserError, match="does not run on 4 samples at once: Guard failed"):
        run_original(network, samples)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_convert_exactly(module, samples, kind, rng):
    set_weights(module.to(kind), rng)
    network = capture(module, samples)
    assert dense(network)[0].weight.dtype == np.float64
    np.testing.assert_array_equal(dense(network)[0].weight, module[1].weight.detach().double())
    assert run_original(network, samples).shape == (7, 4)


def test_state_dicts_from_files(module, tmp_path):
    torch.save(module.state_dict(), tmp_path / "m.pt")
    safetensors.torch.save_file(module.state_dict(), tmp_path / "m.safetensors")
    for name in ("m.pt", "m.safetensors"):
        network = capture(tmp_path / name)
        assert [layer.name for layer in network.layers] == ["1", "4"]
        assert [layer.relu for layer in dense(network)] == [True, False]
        assert network.run is None
        assert "took a ReLU (--activation)" in network.notes[0]
        np.testing.assert_array_equal(
            dense(network)[1].weight, module[4].weight.detach().double().numpy()
        )


def test_a_linear_alone_is_a_layer_without_a_name(rng):
    linear = set_weights(nn.Sequential(nn.Linear(4, 3)), rng)[0]
    (layer,) = dense(from_state_dict(linear.state_dict()))
    assert layer.name == "layer"
    np.testing.assert_array_equal(layer.weight, linear.weight.detach().numpy())
    np.testing.assert_array_equal(layer.bias, linear.bias.detach().numpy())


def test_safetensors_layers_in_natural_order(tmp_path):
    sizes = range(3, 15)
    weights = {f"{n}.weight": torch.ones(b, a) for n, (a, b) in enumerate(pairwise(sizes))}
    safetensors.torch.save_file(weights, tmp_path / "m.safetensors")
    network = capture(tmp_path / "m.safetensors")
    assert [layer.name for layer in network.layers] == [str(n) for n in range(11)]


def test_state_dict_activation_and_missing_bias():
    weights = state_dict(4, 3, 2)
    del weights["a.bias"]
    network = from_state_dict(weights, "none")
    assert not any(layer.relu for layer in dense(network))
    assert "nothing" in network.notes[0]
    assert not network.layers[0].bias.any()
    with pytest.raises(UserError, match=r"activation 'gelu' is unknown.*relu, none"):
        from_state_dict(weights, "gelu")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"b.weight": torch.ones(2, 5)}, r"layer b takes 5 inputs, but layer a .* has 3 outputs"),
        ({"b.bias": torch.ones(3)}, r"layer b: weight of shape \(2, 3\) and bias of shape \(3,\)"),
        ({"b.weight": torch.full((2, 3), torch.nan)}, r"b.weight: 6 of 6 values are not finite"),
        ({"a.bias": torch.tensor([0, torch.inf, 0])}, r"a.bias: 1 of 3 .* first is inf at \[1\]"),
        ({"a.weight": torch.ones(3, 4, dtype=torch.int8)}, r"a.weight: holds torch.int8"),
        ({"conv.weight": torch.ones(2, 2, 3, 3)}, r"conv.weight, of shape \(2, 2, 3, 3\): a state"),
        ({"bn.running_mean": torch.ones(3)}, r"bn.running_mean, of shape \(3,\)"),
        ({"a.weight": torch.ones(0, 4), "a.bias": torch.ones(0)}, "layer a: .* none of them empty"),
        ({"epoch": 3}, r"epoch, of shape \(\): a state dict may hold"),
        ({"lost.bias": torch.ones(3)}, "lost.bias"),
        ({"weight": torch.ones(2, 3)}, r"weight, of shape \(2, 3\)"),
        ({"state_dict": state_dict(4, 3)}, r"pass the inner dict: model\['state_dict'\]"),
        ({"a.weight": torch.ones(3, 4, device="meta")}, "a.weight: is on device 'meta'"),
    ],
)
def test_state_dicts_that_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        from_state_dict(state_dict(4, 3, 2) | changes)


def test_safetensors_sizes_that_do_not_chain_say_why(tmp_path):
    weights = {"in.weight": torch.ones(3, 4), "head.weight": torch.ones(2, 3)}
    safetensors.torch.save_file(weights, tmp_path / "m.safetensors")
    with pytest.raises(UserError, match=r"layer in takes 4 inputs.*keeps no order.*\.pt2"):
        capture(tmp_path / "m.safetensors")


def test_files_that_are_refused(module, tmp_path):
    torch.save(module, tmp_path / "module.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    for name in ("junk.pt", "junk.pt2", "junk.safetensors", "empty.pt", "model.onnx"):
        (tmp_path / name).write_bytes(b"" if name == "empty.pt" else b"certainly no model")
    torch.save(module.state_dict(), tmp_path / "cut.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "cut.pt").read_bytes()[:-10])
    with zipfile.ZipFile(tmp_path / "foreign.pt2", "w") as archive:
        archive.writestr("hello.txt", "no program")
    save_exported(module, tmp_path / "whole.pt2", 2, 3, 4)
    data = bytearray((tmp_path / "whole.pt2").read_bytes())
    (tmp_path / "cut.pt2").write_bytes(data[: len(data) // 2])
    at = data.index(b"graph_module")
    data[at : at + 12] = b"GRAPH_MODULE"
    (tmp_path / "altered.pt2").write_bytes(data)
    for name, message in {
        "module.pt": "files that hold Python objects are not loaded",
        "list.pt": "holds list, must be a state dict",
        "junk.pt": "not a state dict",
        "empty.pt": "not a state dict",
        "cut.pt": "truncated or no PyTorch file",
        "foreign.pt2": "a zip file without a program of torch.export.save",
        "junk.pt2": "not a program saved by torch.export.save",
        "cut.pt2": "not a program saved by torch.export.save",
        "altered.pt2": "torch.export cannot load it",
        "junk.safetensors": "not a safetensors file",
        "model.onnx": r"must end in \.pt2, \.pt, \.pth, \.safetensors",
        "missing.pt": "no such file",
    }.items():
        with pytest.raises(UserError, match=message) as caught:
            capture(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)


def test_a_module_that_does_not_take_the_samples(module, samples):
    with pytest.raises(UserError, match=r"cannot trace the network on inputs of shape \(2, 5\)"):
        capture(module, samples.reshape(7, 12)[:, :5])
    with pytest.raises(UserError, match="needs sample inputs"):
        capture(module)


def test_an_exported_program_itself(module, samples):
    check_against(module, capture(export(module, 4, 3, 4)), samples)


def test_samples_as_a_tensor(module, samples):
    tensor = torch.from_numpy(samples).requires_grad_()
    check_against(module, capture(module, tensor), samples)
    with pytest.raises(UserError, match="samples are on device 'meta'"):
        capture(module, tensor.to("meta"))


def test_a_module_without_values(module, samples):
    with pytest.raises(UserError, match=r"1.weight: is on device 'meta'"):
        capture(module.to("meta"), samples)
    with pytest.raises(UserError, match=r"1.weight: is on device 'meta'"):
        capture(torch.export.export(module, (torch.zeros(2, 3, 4, device="meta"),)))
