"""Networks of any form: samples show how far their layers reach, and the layers run on a device."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.sparse import SparseSemiStructuredTensorCUTLASS
from torch.sparse import _semi_structured_conversions as conversions

from spec import image
from spec.errors import UserError
from spec.nm.config import preset
from spec.nm.golden import GoldenModel
from spec.nm.program import Program
from sw.compile.nm.linears import compile_linears, on_device
from tests.sw.compile.nm.modules import branches, images, in_integers

pytestmark = pytest.mark.unit

CONFIG = preset("tiny", act_lines=128, weight_steps=64, gather_lines=32)
LAYERS = ["stem", "depth", "query", "key", "mix", "head.0", "head.2", "other"]


def golden(program: Program) -> Callable[[int, np.ndarray], np.ndarray]:
    model = GoldenModel(program)
    return lambda number, acts: model.run_layer(number, acts)[0]


def on_golden(network: nn.Module, program: Program, *arguments: object) -> Tensor:
    with on_device(network, program, golden(program)), torch.no_grad():
        return network(*arguments)


def semi_structured(weight: Tensor) -> Tensor:
    """As ``to_sparse_semi_structured`` makes it, which works on a GPU only."""
    packed, meta = conversions.sparse_semi_structured_from_dense_cutlass(weight.detach())
    return SparseSemiStructuredTensorCUTLASS(weight.shape, packed, meta, None, None, None)


def refused(*arguments: object, **options: object) -> str:
    with pytest.raises(UserError) as error:
        compile_linears(*arguments, **options)
    return str(error.value)


@pytest.mark.parametrize("options", [{}, {"scales": "tensor"}, {"migration": None}])
def test_layers_compute_in_integers(seed: int, options: dict):
    network, samples = branches(seed), images(seed)
    program = compile_linears(network, samples, CONFIG, **options)
    assert [layer.name for layer in program.layers] == LAYERS
    assert not program.chained
    other = images(seed + 1, 3) * 1.5  # some of it saturates
    found = on_golden(network.eval(), program, other)
    with torch.no_grad():
        assert torch.equal(found, in_integers(network, program)(other))


def test_results_are_near_to_the_floats(seed: int):
    network, samples = branches(seed).eval(), images(seed, 30)
    program = compile_linears(network, samples, CONFIG, pattern="2:4")
    with torch.no_grad():
        wanted = network(images(seed + 1))
    found = on_golden(network, program, images(seed + 1))
    assert float((found - wanted).abs().max()) < 0.05 * float(wanted.abs().max())


def test_a_layer_is_as_near_as_its_scales(seed: int):
    """One layer: the error is that of rounding inputs, weights and results."""
    torch.manual_seed(seed)
    layer, samples = nn.Linear(24, 10), torch.randn(50, 24)
    program = compile_linears(layer, samples, CONFIG)
    (weights,) = program.weights
    found, wanted = on_golden(layer, program, samples), layer(samples).detach()
    step = (
        np.abs(layer.weight.detach().numpy()) @ weights.input_scales / 2
        + np.abs(samples.numpy() / weights.input_scales).sum(1).max() * weights.scales / 2
        + weights.scales / 2
        + weights.output_scales / 2
    )
    assert (np.abs((found - wanted).numpy()) <= step * 1.001).all()


def test_weights_come_back_from_the_image(seed: int, tmp_path):
    network = branches(seed)
    program = compile_linears(network, images(seed), CONFIG)
    program = image.read(image.write(program, tmp_path / "net.skip"))
    for name, dense in image.unpack(program).items():
        layer = program.layers[program.number(name)]
        weights = program.weights[program.number(name)]
        part = network.get_submodule(name)
        if layer.unfold:
            continue
        real = dense * weights.scales[:, None] / weights.input_scales
        off = np.abs(real - part.weight.detach().numpy())
        assert (off <= 0.501 * weights.scales[:, None] / weights.input_scales).all()


def test_ranges_are_those_of_all_calls(seed: int):
    network, samples = branches(seed), images(seed)
    whole = compile_linears(network, samples, CONFIG)
    calls = [samples[:2], (samples[2:5],), {"images": samples[5:], "gain": 1.0}]
    for other in (calls, calls[::-1]):
        parts = compile_linears(network, other, CONFIG)
        assert [layer.name for layer in parts.layers] == [layer.name for layer in whole.layers]
        for one, another in zip(parts.weights, whole.weights, strict=True):
            np.testing.assert_allclose(one.input_scales, another.input_scales, rtol=1e-5)
            np.testing.assert_allclose(one.output_scales, another.output_scales, rtol=1e-4)
    fewer = compile_linears(network, calls[:1], CONFIG)
    assert (fewer.input_scales(0) <= whole.input_scales(0)).all()
    assert (fewer.input_scales(0) < whole.input_scales(0)).any()


def test_arguments_reach_the_network(seed: int):
    network, samples = branches(seed), images(seed)
    once, more = (
        compile_linears(network, (samples, gain), CONFIG).weights[LAYERS.index("head.0")]
        for gain in (1.0, 8.0)
    )
    assert (more.input_scales > once.input_scales).any()


def test_only_named_layers_run_on_the_device(seed: int):
    network, samples = branches(seed).eval(), images(seed)
    program = compile_linears(network, samples, CONFIG, names=["mix", "query"])
    assert [layer.name for layer in program.layers] == ["query", "mix"]
    called = []

    def run_layer(number: int, acts: np.ndarray) -> np.ndarray:
        called.append((program.layers[number].name, acts.shape))
        return golden(program)(number, acts)

    with on_device(network, program, run_layer), torch.no_grad():
        network(samples)
    places = 4 * 6
    assert called == [
        ("query", (6 * places, 8)),
        ("mix", (6 * places, 8)),
        ("mix", (6 * places, 8)),
    ]


def test_patterns_are_found_or_declared(seed: int):
    network, samples = branches(seed), images(seed)
    found = {one.name: one.mode for one in compile_linears(network, samples, CONFIG).layers}
    assert set(found.values()) == {"2:4"}
    dense = compile_linears(network, samples, CONFIG, pattern="dense")
    assert {one.mode for one in dense.layers} == {"1:1"}
    mixed = compile_linears(network, samples, CONFIG, pattern={"mix": "dense"})
    assert {one.name for one in mixed.layers if one.mode == "1:1"} == {"mix"}
    with torch.no_grad():
        network.other.weight[3, :4] = 1.0
    found = {one.name: one.mode for one in compile_linears(network, samples, CONFIG).layers}
    assert {name for name, mode in found.items() if mode != "2:4"} == {"other"}
    for pattern in ("2:4", {"other": "2:4"}):
        told = refused(network, samples, CONFIG, pattern=pattern)
        assert "layer other: row 3, group 0: 4 non-zeros in the inputs 0...3" in told
    told = refused(network, samples, CONFIG, pattern="2:8")
    assert "pattern 2:8 is none of this array's" in told
    told = refused(network, samples, CONFIG, pattern={"nothing": "2:4"})
    assert "a pattern is declared for layer 'nothing', but the network has stem" in told


def test_form_depends_on_the_tokens_of_a_call():
    """Dropping inputs of one of two strips is faster for some numbers of tokens only: its parts and
    offsets have to be loaded."""
    layer = nn.Linear(64, 8)
    with torch.no_grad():
        layer.weight[:4, :32] = 0
    calls = {1: torch.ones(64), 80: torch.ones(40, 2, 64)}
    for tokens, call in calls.items():
        found = {
            gather: compile_linears(layer, [torch.ones(64), call], preset("tiny"), gather=gather)
            for gather in ("auto", "on", "off")
        }
        cycles = {
            gather: GoldenModel(one).run_layer(0, np.ones((tokens, 64), int))[1].of("cycles")
            for gather, one in found.items()
        }
        assert cycles["auto"] == min(cycles.values())
        gathered = {gather: one.layers[0].gather for gather, one in found.items()}
        assert gathered == {"auto": tokens == 1, "on": True, "off": False}


def test_network_is_left_as_it_was(seed: int):
    network = branches(seed)
    network.key.eval()
    before = {name: one.clone() for name, one in network.state_dict().items()}
    compile_linears(network, images(seed), CONFIG)
    assert all(torch.equal(one, before[name]) for name, one in network.state_dict().items())
    assert [name for name, part in network.named_modules() if not part.training] == ["key"]
    assert not any(part._forward_hooks for part in network.modules())


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16])
def test_other_kinds_of_numbers(seed: int, kind: torch.dtype):
    network, samples = branches(seed).to(kind).eval(), images(seed).to(kind)
    program = compile_linears(network, samples, CONFIG)
    found = on_golden(network, program, samples)
    assert found.dtype == kind
    with torch.no_grad():
        wanted = network(samples).double()
    assert float((found.double() - wanted).abs().max()) < 0.1 * float(wanted.abs().max())


@pytest.mark.filterwarnings("ignore:The PyTorch API of SparseSemiStructuredTensor")
def test_semi_structured_weights_are_taken(seed: int):
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(128, 32), nn.GELU(), nn.Linear(32, 4)).half()
    with torch.no_grad():
        network[0].weight.view(-1, 4)[:, 1::2] = 0
    samples = torch.randn(5, 128).half()
    plain = compile_linears(network, samples, CONFIG)
    network[0].weight = nn.Parameter(semi_structured(network[0].weight), requires_grad=False)
    taken = compile_linears(network, samples, CONFIG)
    assert taken.layers == plain.layers
    assert np.array_equal(taken.weights[0].strips, plain.weights[0].strips)
    assert isinstance(network[0].weight, SparseSemiStructuredTensorCUTLASS)
    assert on_golden(network, taken, samples).dtype == torch.float16


def test_options_are_checked():
    layer, samples = nn.Linear(8, 4), torch.ones(2, 8)
    assert "migration 1.5, must be from 0 to 1, or None" in refused(
        layer, samples, CONFIG, migration=1.5
    )
    assert "headroom -1, must be from 0 to 100" in refused(layer, samples, CONFIG, headroom=-1)
    assert "scales 'column' are unknown" in refused(layer, samples, CONFIG, scales="column")
    assert "pattern '2-4' must be N:M" in refused(layer, samples, CONFIG, pattern="2-4")


def test_layers_that_the_array_cannot_compute_are_told():
    network = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"))
    told = refused(network, torch.ones(1, 4, 6, 6), CONFIG)
    assert told.startswith("layer 0: ")
    assert "circular" in told
    broken = nn.Sequential(nn.Linear(8, 4))
    with torch.no_grad():
        broken[0].weight[1, 2] = torch.inf
    told = refused(broken, torch.zeros(1, 8), CONFIG)
    assert "layer 0: gives values that are not finite" in told
