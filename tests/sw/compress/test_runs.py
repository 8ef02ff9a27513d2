import numpy as np
import pytest

from spec.eie.csc import encode
from spec.errors import UserError
from sw.compress.runs import Gaps, join, rest_bits, split

pytestmark = pytest.mark.unit


def sparse(rng, density: float, size: int = 2000) -> np.ndarray:
    return (rng.random(size) < density).astype(np.uint8)


@pytest.mark.parametrize("run_bits", [1, 2, 4, 5, 8])
@pytest.mark.parametrize("density", [0, 0.01, 0.1, 0.6, 1])
def test_entries_and_pads_are_those_of_one_eie_column(rng, density, run_bits):
    places = sparse(rng, density)
    gaps = Gaps.of(places)
    csc = encode(places[:, None], pes=1, run_bits=run_bits)
    assert gaps.entries(run_bits) == len(csc.code)
    assert gaps.pads(run_bits) == int(csc.pads.sum())
    wanted = np.bincount(csc.run, minlength=1 << run_bits)
    assert np.array_equal(gaps.run_counts(run_bits), wanted)
    assert np.array_equal(gaps.places(), np.flatnonzero(places))


def test_best_width_of_runs(rng):
    gaps = Gaps.of(sparse(rng, 0.05))
    sizes = {bits: gaps.entries(bits) * (4 + bits) for bits in range(1, 9)}
    assert sizes[gaps.best_run_bits(4)] == min(sizes.values())
    assert Gaps.of(np.ones(5)).best_run_bits(4) == 1


@pytest.mark.parametrize("fine", range(6))
def test_classes_are_the_highest_bits(fine):
    gaps = np.concatenate([np.arange(5000), 2 ** np.arange(13, 50), 2 ** np.arange(13, 50) - 1])
    classes, rest, bits = split(gaps, fine)
    assert np.array_equal(join(classes, rest, fine), gaps)
    assert np.array_equal(rest_bits(classes, fine), bits)
    assert ((rest >= 0) & (rest < 1 << bits)).all()
    # Each class has its neighbours of one highest part, in order: no number between is left out.
    ordered = np.sort(classes[:5000])
    assert np.array_equal(ordered, classes[:5000])
    assert set(np.diff(ordered)) <= {0, 1}
    for gap in (0, 1, 5, 37, 1000):
        text = f"{gap:b}"
        own = max(0, len(text) - 1 - fine)
        assert bits[gap] == own
        assert rest[gap] == int(text[len(text) - own :] or "0", 2)


def test_refuses_places_behind_the_end():
    with pytest.raises(UserError, match="a weight stands at place 7 of 6"):
        Gaps(np.array([3, 3]), 6).places()
