"""Which engine a layer is given to: predicted cycles, and reasons."""

from dataclasses import replace

import numpy as np
import pytest
from tqdm import tqdm

from spec.eie.config import preset as eie_preset
from spec.errors import UserError
from spec.nm.config import Mode, preset
from spec.nm.unfold import Unfold
from spec.numbers import quantize
from sw.compile.calibrate import measure
from sw.compile.eie.driver import compile_network as compile_for_eie
from sw.compile.mixed.choose import Candidate, choose, on_eie, on_nm
from sw.compile.network import FloatLayer, Network
from sw.compile.nm.driver import compile_network as compile_for_nm
from sw.host.eie.golden import GoldenDevice
from tests.sw.compile.networks import float_layers, float_lstm

pytestmark = pytest.mark.unit

EIE, NM = eie_preset("default", pes=8), preset("default")
QUIET = tqdm(disable=True)


def layer(rng, inputs: int = 60, outputs: int = 40, **options) -> FloatLayer:
    return float_layers(rng, (inputs, outputs), **options)[0]


def ask_eie(one, batch, config=EIE, batch_size=1, **options) -> Candidate:
    ranges, _ = measure([one], batch)
    return on_eie(one, ranges, batch, config, batch_size, QUIET, **options)


def predict_eie(*arguments, **options) -> float:
    cycles = ask_eie(*arguments, **options).cycles
    assert cycles is not None
    return cycles


def predict_nm(one, images: int) -> float:
    cycles = on_nm(one, NM, None, "auto", images).cycles
    assert cycles is not None
    return cycles


def test_cycles_of_an_eie_array_are_those_of_its_device(rng):
    one = layer(rng)
    batch = rng.normal(size=(20, 60)).clip(0)
    program = compile_for_eie(Network(layers=(one,)), batch, EIE).program
    device = GoldenDevice(EIE)
    device.load(program)
    device.run(quantize(batch, program.input_scale, EIE.act_bits))
    cycles = sum(int(counts.of("cycles").sum()) for counts in device.counters())
    assert predict_eie(one, batch) == cycles / 20
    assert predict_eie(one, batch, balance=False, clusters=1) != cycles / 20


def test_lanes_are_used_by_images_that_run_together(rng):
    one, batch = layer(rng), rng.normal(size=(12, 60)).clip(0)
    lanes = replace(EIE, lanes=4)
    alone = predict_eie(one, batch, lanes)
    together = predict_eie(one, batch, lanes, batch_size=4)
    assert alone == predict_eie(one, batch, lanes, batch_size=1)
    assert together < 0.5 * alone
    assert together == predict_eie(one, batch, lanes, batch_size=64)


def test_what_must_be_loaded_again_for_every_image_is_counted(rng):
    one, batch = layer(rng, density=0.9), rng.normal(size=(6, 60))
    small = replace(eie_preset("tiny"), lines=40)
    ample = replace(eie_preset("tiny"), lines=4096)
    assert predict_eie(one, batch, small) > 1.5 * predict_eie(one, batch, ample)


def test_cycles_of_an_nm_array_are_those_of_its_compiler(rng):
    one, batch = layer(rng), rng.normal(size=(9, 60))
    for images in (1, 8, 100):
        result = compile_for_nm(Network(layers=(one,)), batch, NM, batch_size=images)
        assert predict_nm(one, images) == result.layers[0]["cycles"]
    assert predict_nm(one, 8) < predict_nm(one, 1) / 4


def test_steps_of_a_sequence_are_all_counted(rng):
    one = layer(rng)
    sequences = rng.normal(size=(4, 7, 60))
    each = predict_eie(one, sequences.reshape(-1, 60))
    assert predict_eie(one, sequences) == pytest.approx(7 * each)


def test_why_an_engine_does_not_take_a_layer(rng):
    batch = rng.normal(size=(5, 60))
    many = replace(layer(rng), weight=rng.normal(size=(40, 60)))
    assert ask_eie(many, batch).reason.startswith("its weights take 2400 distinct values")
    windows = Unfold(channels=1, height=6, width=10, kernel=(6, 10))
    convolution = replace(many, windows=windows)
    assert ask_eie(convolution, batch).reason.startswith("a convolution, but an EIE array")
    lstm = float_lstm(rng, 4, 3)
    assert on_nm(lstm, NM, None, "auto", 1).reason.startswith("an LSTM, but an N:M array")
    broken = on_nm(many, NM, Mode(2, 4), "auto", 1)
    assert broken.reason.startswith("row 0, group 0: 4 non-zeros")
    assert broken.cycles is None


def named(*names: str) -> list[FloatLayer]:
    one = FloatLayer(name="", weight=np.ones((1, 1)), bias=np.zeros(1), relu=False)
    return [replace(one, name=name) for name in names]


def test_the_fewest_cycles_win_and_of_equals_the_engine_in_front():
    table = [(5, 9), (7, 7), (None, 3), (4, 4), (2, None)]
    candidates = [
        {
            name: Candidate(reason="it cannot") if cycles is None else Candidate(cycles=cycles)
            for name, cycles in zip(("eie", "nm"), each, strict=True)
        }
        for each in table
    ]
    choices = choose(named("a", "b", "c", "d", "e"), candidates)
    assert [choice.engine for choice in choices] == ["eie", "eie", "nm", "nm", "eie"]
    assert [choice.why for choice in choices] == [
        "5.0 cycles instead of 9.0",
        "as many cycles as on nm",
        "eie does not take it: it cannot",
        "as many cycles as on eie",
        "nm does not take it: it cannot",
    ]
    assert choices[0].to_json()["candidates"]["nm"] == {"cycles": 9, "reason": ""}
    assert choices[0].to_json()["why"] == choices[0].why


def test_a_layer_that_no_engine_takes():
    neither = {"eie": Candidate(reason="too dense"), "nm": Candidate(reason="an LSTM")}
    with pytest.raises(UserError, match=r"layer a: no engine takes it \(eie: too dense; nm: an L"):
        choose(named("a"), [neither])
