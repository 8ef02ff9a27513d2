"""The experiments of compression, on the embedded digits and for a moment."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sim.bench import (
    compress,
    compress_fashion,
    compress_lenet,
    compress_page,
    compress_seeds,
    compress_training,
)
from sim.bench.compress_seeds import mean_and_spread, over_seeds, with_spread
from sw.compress.augment import distorted
from sw.compress.data import Dataset, digits
from sw.compress.train import Training

pytestmark = pytest.mark.unit

SHORT = Training(3, batch=20)

LENET_5 = {"conv1": 20 * 25, "conv2": 50 * 20 * 25, "fc1": 500 * 800, "fc2": 10 * 500}
"""Weights of each layer."""


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Dataset:
    """A few digits in place of the data sets; what is kept stays in a folder of the test."""
    whole = digits()
    data = Dataset(
        "few",
        whole.train_images[::40],
        whole.train_labels[::40],
        whole.test_images[::20],
        whole.test_labels[::20],
    )
    for module in (compress_lenet, compress_fashion):
        monkeypatch.setattr(module, "mnist_like", lambda _: data)
        monkeypatch.setattr(module, "over_seeds", in_this_process)
    monkeypatch.chdir(tmp_path)
    return data


def in_this_process(name, run, *arguments, seeds):
    return [{"seed": seed, **run(seed, *arguments)} for seed in seeds]


def short_plan(name: str) -> compress_lenet.Plan:
    plan = compress_lenet.PLANS[name]
    levels = [replace(level, prune=Training(10), share=SHORT) for level in plan.levels]
    return replace(plan, train=SHORT, levels=tuple(levels))


@pytest.mark.parametrize("name", compress_lenet.PLANS)
def test_lenet_is_compressed_to_each_level(few, monkeypatch, name):
    plan = short_plan(name)
    monkeypatch.setattr(compress_lenet, "PLANS", {name: plan})
    document = compress_lenet.run(name, [1, 2])
    json.dumps(document)  # a result file can hold it
    for at, (level, found) in enumerate(zip(plan.levels, document["levels"], strict=True)):
        by_layer = document["seeds"][0]["levels"][at]["kept_by_layer"]
        assert found["kept"] == sum(by_layer.values())
        if isinstance(level.density, dict):
            assert by_layer == {
                layer: round(share * LENET_5[layer]) for layer, share in level.density.items()
            }
        else:
            assert found["kept"] == round(level.density * found["weights"])
        assert found["bytes"]["mean"] * found["ratio"]["mean"] == pytest.approx(
            document["dense_bytes"], rel=0.01
        )
        assert found["ratio"]["mean"] > 1 / found["density"]
    text = compress_lenet.table(document)
    assert f"{100 * document['levels'][0]['density']:.2f} %" in text
    assert ("with a share for each layer" in text) == (name == "lenet-5")
    assert "{" not in text
    assert "| all |" in compress_page.lenet(name)("file.json", document)


@pytest.mark.parametrize("taught", [False, True])
def test_both_trainings_of_a_level_have_the_teacher(few, monkeypatch, taught):
    teachers = []

    def recorded(model, data, training, seed, title, keep=None, teacher=None):
        teachers.append((title, teacher))
        train(model, data, training, seed, title, keep, teacher)

    train = compress_lenet.train
    monkeypatch.setattr(compress_lenet, "train", recorded)
    plan = short_plan("lenet-300-100")
    plan = replace(plan, levels=(replace(plan.levels[0], taught=taught),))
    compress_lenet.one_seed(1, plan)
    assert [title for title, _ in teachers] == ["dense", "prune", "share"]
    assert [teacher is not None for _, teacher in teachers] == [False, taught, taught]


@pytest.mark.parametrize(
    ("name", "augment"),
    [("mnist", distorted), ("fashion", compress_training._shifted_by_one)],
)
def test_handwriting_is_distorted_and_clothes_are_shifted(few, monkeypatch, name, augment):
    seen = {}
    monkeypatch.setattr(compress_training, "fit", lambda *_, **given: seen.update(given))
    compress_training.train(None, replace(few, name=name), SHORT, 1, "title")
    assert seen["augment"] is augment


def test_fashion_is_pruned_in_every_way(few, monkeypatch):
    plan = replace(
        compress_fashion.PLAN, training=SHORT, tune=SHORT, densities=(0.5,), calibration=40
    )
    monkeypatch.setattr(compress_fashion, "PLAN", plan)
    quick = {"unstructured": ("magnitude",), "channel": ("activation", "least-squares")}
    monkeypatch.setattr(compress_fashion, "RANKED", quick)
    nm = compress_fashion.run_nm([1, 2])
    assert list(nm["errors"]) == [
        "dense",
        "dense, twice",
        "2:4, retrained",
        "2:4, SR-STE",
        "1:4, retrained",
        "1:4, SR-STE",
    ]
    assert "| 2:4, SR-STE | " in compress_page.fashion("file.json", nm)
    criteria = compress_fashion.run_ranking([1, 2])
    assert [one["criterion"] for one in criteria["rows"]] == [
        *quick["unstructured"],
        *quick["channel"],
    ]
    section = compress_page.ranking("file.json", criteria)
    assert section.count("**") >= 8
    assert "| `least-squares` | " in section
    for document, table in (
        (nm, compress_fashion.nm_table),
        (criteria, compress_fashion.ranking_table),
    ):
        assert "±" in table(document)


def test_every_experiment_has_a_file_of_its_own():
    files = [one.file for one in compress.EXPERIMENTS.values()]
    assert len(set(files)) == len(files)
    assert {f"{name}.json" for name in compress_page.SECTIONS} <= set(files)


def outcome(seed: int, folder: str) -> dict:
    """Notes that it ran; seed 2 fails the first time."""
    mark = Path(folder) / str(seed)
    ran = mark.read_text() if mark.exists() else ""
    mark.write_text(ran + "x")
    if seed == 2 and not ran:
        raise RuntimeError("broken")
    return {"square": seed * seed}


def test_what_was_interrupted_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(compress_seeds, "KEPT", tmp_path / "kept")
    with pytest.raises(RuntimeError, match="broken"):
        over_seeds("test", outcome, str(tmp_path), seeds=[2, 1])
    assert len([*(tmp_path / "kept").iterdir()]) == 1
    found = over_seeds("test", outcome, str(tmp_path), seeds=[1, 2])
    assert found == [{"seed": 1, "square": 1}, {"seed": 2, "square": 4}]
    assert [(tmp_path / seed).read_text() for seed in "12"] == ["x", "xx"]


def test_means_and_spreads():
    assert mean_and_spread([1, 2, 3]) == {"mean": 2, "spread": 1}
    assert with_spread({"mean": 1.234, "spread": 0.056}) == "1.23 ± 0.06"


def test_pictures_come_from_make_data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception, match="make data"):
        compress_training.mnist_like("mnist")
