import resource

import pytest

from sim.bench.compress_large import measure, peak_bytes

pytestmark = pytest.mark.unit


def test_measures_what_it_says():
    small = measure(1, inputs=200, outputs=100, density=0.04, bits=5)
    assert (small["kept"], small["values"]) == (800, 31)
    assert small["seconds"]["total"] == pytest.approx(
        small["seconds"]["prune"] + small["seconds"]["share"]
    )
    # The kernel adds up pages in batches, here and there at other times.
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 * 1.02
    assert 1e8 < small["gigabytes"] * 1e9 <= peak_bytes() <= most
