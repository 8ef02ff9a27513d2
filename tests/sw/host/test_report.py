"""Reports of networks on both engines, and comparing them."""

import json
from dataclasses import replace

import pytest

from spec.errors import UserError
from sw.host.compare import Result, first_difference, run_on
from sw.host.eie.golden import GoldenDevice as EieGoldenDevice
from sw.host.eie.report import summarize as summarize_eie
from sw.host.mixed import MixedDevice
from sw.host.nm.golden import GoldenDevice as NmGoldenDevice
from sw.host.nm.report import summarize as summarize_nm
from sw.host.report import make_report, table
from tests.spec.mixes import EIE_CONFIG, NM_CONFIG, random_mix

pytestmark = pytest.mark.unit


def golden() -> MixedDevice:
    return MixedDevice([EieGoldenDevice(EIE_CONFIG), NmGoldenDevice(NM_CONFIG)], "golden")


@pytest.fixture
def mix(rng):
    return random_mix(rng, "nm eie nm")


@pytest.fixture
def result(rng, mix) -> Result:
    return run_on(golden(), mix.program, mix.batch(rng, 3))


@pytest.fixture
def report(mix, result):
    return make_report(golden(), mix.program, result.outputs, result.counts)


def test_keys_are_stable(report):
    assert list(report) == [
        "device",
        "engine",
        "images",
        "stages",
        "cycles",
        "cycles_per_image",
        "macs",
        "outputs",
        "output_scale",
        "tools",
    ]
    assert (report["device"], report["engine"], report["images"]) == ("golden", "mixed", 3)
    assert json.loads(json.dumps(report)) == report


def test_stages_are_the_engines_own(mix, result, report):
    kinds = [summarize_nm, summarize_eie, summarize_nm]
    for stage, summarize, program, counts in zip(
        report["stages"], kinds, mix.program.stages, result.counts, strict=True
    ):
        assert stage == {"engine": stage["engine"]} | summarize(program, 3, counts)
    assert [stage["engine"] for stage in report["stages"]] == ["nm", "eie", "nm"]
    for key in ("cycles", "macs"):
        assert report[key] == sum(stage[key] for stage in report["stages"]) > 0
    assert report["cycles_per_image"] == report["cycles"] / 3
    assert report["outputs"] == result.outputs.tolist()
    assert report["output_scale"] == mix.program.output_scale.tolist()


def test_the_scale_of_an_eie_stage_is_a_number(rng):
    mix = random_mix(rng, "nm eie")
    result = run_on(golden(), mix.program, mix.batch(rng, 1))
    report = make_report(golden(), mix.program, result.outputs, result.counts)
    assert report["output_scale"] == mix.program.output_scale == 2.0**-15


def test_counters_of_something_else_are_refused(mix, result):
    with pytest.raises(UserError, match="3 stages, the counters are of 2"):
        make_report(golden(), mix.program, result.outputs, result.counts[:2])


def test_the_table_shows_stages_one_by_one(report):
    text = table(report)
    assert text.startswith("golden, 3 stages, 3 image(s)\n\nstage 0: engine nm, 4 x 2 MAC units")
    for word in (
        f"stage 1: engine eie, 4 PEs, configuration {EIE_CONFIG.digest}\n\nlayer ",
        f"configuration {NM_CONFIG.digest}\n\nlayer ",
        "stage0_0",
        "stage1_0",
        "stage2_0",
        "streams took",
        "broadcasts",
        f"all stages: {report['cycles_per_image']:.1f} cycles/image",
        "image 2: largest output",
    ):
        assert word in text


def test_differences_name_the_stage(mix, result):
    def other(number: int, counts) -> Result:
        changed = list(result.counts)
        changed[number] = counts
        return replace(result, device="other", counts=changed)

    (nm,), (eie,) = result.counts[2], result.counts[1]
    assert first_difference(mix.program, result, replace(result, device="other")) is None
    values = (nm.values[0] + 1, *nm.values[1:])
    found = first_difference(mix.program, result, other(2, [replace(nm, values=values)]))
    place = "stage 2, layer 0 (stage2_0), cycles"
    assert found == f"{place}: golden {values[0] - 1}, other {values[0]}"
    slow = replace(other(2, [replace(nm, values=values)]), paced=False)
    assert first_difference(mix.program, result, slow) is None
    array = eie.array.copy()
    array[1, 0] += 1
    found = first_difference(mix.program, result, other(1, [replace(eie, array=array)]))
    assert found is not None
    assert found.startswith("stage 1, pass 0 (stage1_0), image 1, cycles: golden ")
