"""LSTMs on the RTL: the host's part and the array's, together, as the golden model has them."""

import pytest

from sim.devices import open_device
from sw.host.compare import first_difference, run_on
from sw.host.eie.golden import GoldenDevice
from tests.sw.compile.eie.test_gates import CONFIGS, NETWORKS, compiled

pytestmark = pytest.mark.flow


@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, "one segment") for name in NETWORKS), *(("last step", kind) for kind in CONFIGS)],
)
def test_an_lstm_on_pysim(rng, name, kind):
    config = CONFIGS[kind]
    program = compiled(name, config, rng)[0].program
    batch = rng.integers(-3000, 3000, (2, 3, 5))
    device = open_device("pysim", config)
    predicted, found = (run_on(one, program, batch) for one in (GoldenDevice(config), device))
    assert first_difference(program, predicted, found) is None
    device.close()
