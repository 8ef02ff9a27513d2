"""Reading inputs: what is taken, and one clear sentence for what is not."""

from dataclasses import replace

import numpy as np
import pytest

from spec.eie.config import preset
from spec.errors import UserError
from spec.nm.config import preset as nm_preset
from sw.host.inputs import read_batch
from tests.programs import random_program
from tests.spec.mixes import random_mix
from tests.spec.nm.networks import conv_network, linear_network

pytestmark = pytest.mark.unit


@pytest.fixture
def program(rng):
    return random_program(rng, preset("tiny"), [12, 5], density=0.5)


@pytest.fixture
def save(tmp_path):
    def save(array, **options):
        path = tmp_path / "x.npy"
        np.save(path, array, **options)
        return path

    return save


@pytest.mark.parametrize("shape", [(3, 12), (3, 3, 4), (3, 1, 3, 2, 2)])
def test_images_of_any_shape_are_flattened(program, save, shape):
    scale = program.layers[0].input_scale
    path = save(np.arange(36).reshape(shape) * scale)
    assert np.array_equal(read_batch(path, program), np.arange(36).reshape(3, 12))


def test_one_vector_is_one_image(program, save):
    assert read_batch(save(np.arange(12)), program, raw=True).tolist() == [list(range(12))]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_raw_integers_stay_as_they_are(program, save, dtype):
    found = read_batch(save(np.full((2, 12), 7, dtype)), program, raw=True)
    assert found.dtype == np.int64
    assert (found == 7).all()


@pytest.mark.parametrize("shape", [(5, 4, 12), (5, 4, 2, 6), (4, 12)])
def test_sequences_keep_their_steps(program, save, shape):
    program = replace(program, per_step=1)
    found = read_batch(save(np.ones(shape, int)), program, raw=True)
    assert found.shape == (5 if len(shape) > 2 else 1, 4, 12)


@pytest.mark.parametrize("shape", [(12,), (5, 4, 11), (5, 0, 12), (5, 4, 3, 3)])
def test_sequences_that_do_not_fit_are_refused(program, save, shape):
    program = replace(program, per_step=1)
    with pytest.raises(UserError, match=r"\(images, steps, ...\) with 12 values for each st"):
        read_batch(save(np.ones(shape, int)), program, raw=True)


def test_a_limit_takes_the_first_images(program, save):
    path = save(np.arange(36).reshape(3, 12))
    assert len(read_batch(path, program, raw=True, limit=2)) == 2
    assert len(read_batch(path, program, raw=True, limit=9)) == 3


@pytest.mark.parametrize(
    ("array", "options", "message"),
    [
        (np.zeros((2, 11)), {}, r"shape is \(2, 11\), must be \(images, ...\) with 12 values"),
        (np.zeros((3, 4)), {}, r"shape is \(3, 4\)"),
        (np.zeros(11), {}, r"shape is \(11,\)"),
        (np.float64(1), {}, r"shape is \(\)"),
        (np.zeros((0, 12)), {}, "holds no image"),
        (np.zeros((0, 3, 4)), {}, r"shape is \(0, 3, 4\)"),
        (np.full((1, 12), np.nan), {}, "12 values that are NaN or infinite"),
        (np.zeros((1, 12), int), {}, "holds int64; inputs are real numbers.*--raw"),
        (np.zeros((1, 12), bool), {}, "holds bool"),
        (np.zeros((1, 12), complex), {}, "holds complex128"),
        (np.full((1, 12), "a"), {}, "holds <U1"),
        (np.zeros((1, 12)), {"raw": True}, "holds float64; raw inputs are integers"),
        (np.full((1, 12), 40000), {"raw": True}, "reaches 40000...40000, must stay within"),
        (np.full((1, 12), 2**64 - 1, np.uint64), {"raw": True}, "reaches 18446744073709551615"),
        (np.zeros((1, 12)), {"limit": 0}, "a limit of 0 images"),
    ],
)
def test_what_does_not_fit_is_refused(program, save, array, options, message):
    with pytest.raises(UserError, match=message):
        read_batch(save(array), program, **options)


def test_the_file_is_named(program, save):
    path = save(np.zeros((2, 11)))
    with pytest.raises(UserError, match=f"^{path}: "):
        read_batch(path, program)


def test_a_missing_file_is_refused(program, tmp_path):
    with pytest.raises(UserError, match="cannot read .*none.npy: No such file"):
        read_batch(tmp_path / "none.npy", program)


def test_other_files_are_refused(program, save, tmp_path):
    path = save(np.zeros((3, 12)))
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 7):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match="not a .npy file of numbers"):
            read_batch(path, program)
    path.write_bytes(whole.replace(b"(3, 12)", b"(3, 10000000000000)".ljust(7))[: len(whole)])
    with pytest.raises(UserError, match="not a .npy file of numbers"):
        read_batch(path, program)
    np.savez(tmp_path / "many.npz", np.zeros(12), np.zeros(12))
    with pytest.raises(UserError, match="holds several arrays"):
        read_batch(tmp_path / "many.npz", program)


def test_pickles_are_never_opened(program, save):
    with pytest.raises(UserError, match="not a .npy file of numbers"):
        read_batch(save(np.array([print] * 12), allow_pickle=True), program)


# Programs of the other kinds -------------------------------------------------------------------


@pytest.mark.parametrize("kinds", ["nm", "nm eie", "eie nm"])
def test_every_input_has_its_own_scale(rng, kinds, save):
    program = random_mix(rng, kinds).program
    program = program if " " in kinds else program.stages[0]
    low, high = (-100, 100) if program.act_bits == 8 else (-30000, 30000)
    integers = rng.integers(low, high, (3, 12))
    path = save(integers * np.asarray(program.input_scale))
    assert np.array_equal(read_batch(path, program), integers)
    assert np.array_equal(read_batch(save(integers), program, raw=True), integers)


def test_images_of_a_convolution(rng, save):
    """A scale for every channel; an image as it is, or as a vector."""
    program = conv_network(rng, nm_preset("tiny", weight_steps=64)).program
    integers = rng.integers(-100, 100, (2, 3, 9, 8))
    scales = program.weights[0].input_scales
    path = save(integers * scales[:, None, None])
    assert np.array_equal(read_batch(path, program), integers.reshape(2, -1))
    assert np.array_equal(read_batch(path, program, limit=1), integers[:1].reshape(1, -1))
    path = save(integers.reshape(2, -1) * program.input_scale)
    assert np.array_equal(read_batch(path, program), integers.reshape(2, -1))


def test_what_does_not_saturate_is_told_and_what_does_is_not(rng, save):
    """Real numbers saturate, integers must fit; pixels are real."""
    program = random_mix(rng, "nm eie").program
    assert read_batch(save(np.full((1, 12), 1e9)), program).tolist() == [[127] * 12]
    assert read_batch(save(np.full((1, 12), 255, np.uint8)), program).tolist() == [[127] * 12]
    with pytest.raises(UserError, match="x.npy: input reaches 128...128, must stay within -128.."):
        read_batch(save(np.full((1, 12), 128)), program, raw=True)


@pytest.mark.parametrize("kinds", ["nm", "nm eie"])
@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 11)), r"shape is \(2, 11\), must be \(images, ...\) with 12 values"),
        (np.zeros((0, 12)), "holds no image"),
        (np.full((1, 12), np.inf), "12 values that are NaN or infinite"),
        (np.zeros((1, 12), int), "holds int64; inputs are real numbers"),
    ],
)
def test_what_does_not_fit_other_programs_is_refused(rng, save, kinds, array, message):
    program = random_mix(rng, kinds).program
    with pytest.raises(UserError, match=message):
        read_batch(save(array), program)


def test_layers_that_are_no_chain_take_no_batch(rng, save):
    network = linear_network(rng, nm_preset("tiny", weight_steps=64), [12, 5])
    program = replace(network.program, chained=False)
    with pytest.raises(UserError, match="x.npy: the image's layers are no chain: run them one by"):
        read_batch(save(np.zeros((1, 12))), program)
