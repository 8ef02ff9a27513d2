"""Networks on both engines on the RTL, as the golden models have them."""

from contextlib import closing

import numpy as np
import pytest

from sim import run
from sim.devices import open_for
from spec import image
from sw.host.compare import first_difference, run_on
from tests.spec.mixes import random_mix

pytestmark = pytest.mark.flow


@pytest.mark.parametrize(("kinds", "ragged"), [("nm eie nm", None), ("eie nm", 5)])
def test_stages_on_pysim(rng, kinds, ragged):
    mix = random_mix(rng, kinds)
    batch = mix.batch(rng, 3)
    results = []
    for name, options in (("golden", {}), ("pysim", {"ragged": ragged})):
        with closing(open_for(name, mix.program, **options)) as device:
            results.append(run_on(device, mix.program, batch))
    assert first_difference(mix.program, *results) is None
    assert np.array_equal(results[1].outputs, mix.expected(batch))
    assert results[1].paced == (ragged is None)


def test_the_command_compares(rng, tmp_path, capsys, monkeypatch):
    """Each array records waveforms of its own."""
    monkeypatch.chdir(tmp_path)
    mix = random_mix(rng, "nm eie")
    image.write(mix.program, "net.skip")
    np.save("x.npy", mix.batch(rng, 2) * mix.program.input_scale)
    options = ["--on", "pysim", "--compare", "golden", "--waves"]
    assert run.main(["net.skip", "--input", "x.npy", *options]) == 0
    assert "pysim and golden: same outputs, same cycles" in capsys.readouterr().out
    names = {file.parent.name.partition("-")[0] for file in tmp_path.rglob("*.vcd")}
    assert names == {"nm", "eie"}
