"""Weight decoder: every code of every codebook, in the next cycle."""

import numpy as np
import pytest

from hw.eie.weight_decode import WeightDecode
from spec.eie.config import preset
from spec.numbers import signed_bounds
from tests.hw.streams import play

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "fields",
    [{}, {"code_bits": 1, "codebooks": 1}, {"code_bits": 3, "codebooks": 5, "weight_bits": 4}],
)
def test_every_code_of_every_codebook(fields: dict[str, int], rng: np.random.Generator) -> None:
    """Signed values, extremes included, written by the host, looked up in any order with gaps."""
    config = preset("tiny", **fields)
    low, high = signed_bounds(config.weight_bits)
    books = rng.integers(low, high + 1, (config.codebooks, config.codes))
    books.flat[:2] = low, high
    dut = WeightDecode(config)
    mask = (1 << config.weight_bits) - 1
    steps: list[dict] = [
        {"write.enable": 1, "write.address": address, "write.data": int(value) & mask}
        for address, value in enumerate(books.ravel())
    ]
    loading = len(steps)
    picks = rng.permutation(books.size)
    for pick in picks:
        book, code = divmod(int(pick), config.codes)
        steps.append({"write.enable": 0, "enable": 1, "codebook": book, "code": code})
        steps += [{"enable": 0, "code": 0}] * int(rng.integers(2))
    found = [weight for (weight,) in play(dut, steps, ["weight"], tail=dut.latency)]
    looked = [at for at in range(loading, len(steps)) if steps[at]["enable"]]
    assert [found[at + dut.latency] for at in looked] == books.ravel()[picks].tolist()
