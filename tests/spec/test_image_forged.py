"""Images with a right checksum and wrong contents, of the N:M engine and of both together."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from spec import image
from spec.errors import UserError
from tests.spec.images import forged, tensors_of
from tests.spec.mixes import NM_CONFIG, random_mix
from tests.spec.nm.networks import Network, conv_network

pytestmark = pytest.mark.unit


@pytest.fixture
def network(rng) -> Network:
    return conv_network(rng, NM_CONFIG)


@pytest.fixture(params=["nm", "mixed"])
def program(request, rng, network) -> image.Program:
    if request.param == "nm":
        return network.program
    return random_mix(rng, "nm eie nm").program


# Metadata that was forged ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format_version=1), "format version 1, this reader takes 2"),
        (lambda d: d.update(engine="eie"), "EIE configuration: unknown or missing fields"),
        (lambda d: d.update(engine="mixed"), "metadata is incomplete or wrong .'stages'"),
        (lambda d: d.update(config_digest="0" * 16), "not have the digest that it states"),
        (lambda d: d["config"].update(rows=3), "rows = 3, must be a power of two"),
        (lambda d: d["config"].pop("rows"), "unknown or missing fields rows"),
        (lambda d: d.pop("chained"), "metadata is incomplete or wrong .'chained'"),
        (lambda d: d.update(layers=[]), "the image has 0 layers"),
        (lambda d: d["layers"][1].update(name="conv1"), "layers share a name: conv1, conv1, fc"),
        (lambda d: d["layers"][0].update(inputs="27"), "Layer.inputs is '27'"),
        (lambda d: d["layers"][0].update(inputs=26), "layer conv1: windows of 27 values for 26"),
        (lambda d: d["layers"][0].update(mode="2:5"), "layer conv1: pattern 2:5 is none of this"),
        (lambda d: d["layers"][0].update(mode="all"), "pattern 'all' must be N:M"),
        (lambda d: d["layers"][0].update(mode="1:1"), "not for its configuration"),
        (lambda d: d["layers"][1].update(gather=False), "not for its configuration"),
        (lambda d: d["layers"][2].update(outputs=6), "layer fc: scales are float64 of shape"),
        (lambda d: d["layers"][0]["pool"].update(width=9), "layer conv1: it cannot pool"),
        (lambda d: d["layers"][0].update(pool=None), "layer conv2 takes 120 values"),
        (lambda d: d["layers"][0]["unfold"].update(stride=[0, 1]), "no window fits"),
        (lambda d: d["layers"][1]["unfold"].update(channels=3), "takes 60 values"),
    ],
)
def test_forged_metadata_is_refused(network, change, message):
    with pytest.raises(UserError, match=f"^net.skip: .*{message}"):
        image.from_bytes(forged(network.program, lambda d: (change(d), d)[1]), "net.skip")


def test_forged_metadata_of_a_stage_names_it(rng):
    program = random_mix(rng, "nm eie").program

    def change(document: dict) -> dict:
        document["stages"][1]["config"]["pes"] = 0
        return document

    with pytest.raises(UserError, match="^image: stage 1: EIE configuration: pes = 0"):
        image.from_bytes(forged(program, change))


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """The path of everything in a document."""
    yield path
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, inner in items:
        yield from places(inner, (*path, key))


def replaced(document: Any, path: tuple, value: Any) -> Any:
    """A document with something else in a place."""
    if not path:
        return value
    copy = list(document) if isinstance(document, list) else dict(document)
    copy[path[0]] = replaced(document[path[0]], path[1:], value)
    return copy


def test_anything_in_any_place_is_refused_or_harmless(rng, program):
    """Never is there another exception than the refusal."""
    odd = [None, True, -1, 0, 1 << 70, 1.5, math.nan, "", "9" * 5000, [], {}, [1, 2]]
    tensors, paths = tensors_of(program), []
    image.from_bytes(forged(program, lambda document: paths.extend(places(document)) or document))
    refused = 0
    for path in paths:
        value = odd[int(rng.integers(len(odd)))]
        data = forged(program, lambda document, p=path, v=value: replaced(document, p, v), tensors)
        try:
            image.from_bytes(data)
        except UserError:
            refused += 1
    assert refused > len(paths) * 0.9


# Tensors that were forged ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("strips", lambda strips: strips[:-1], "strips are not for its configuration"),
        ("strips", lambda strips: strips.astype(np.int64), "layer0.strips is int64"),
        ("strips", lambda strips: strips[:, :0], "must be uint64 of"),
        ("strips", np.zeros_like, "strip 0 has 0 steps"),
        ("strips", lambda strips: strips | np.uint64(0xFF), "not for its configuration"),
        ("scales", lambda scales: scales * 0, "layer conv1: its scales must be above 0"),
        ("output_scales", lambda scales: scales / 0, "its output_scales must be above 0"),
        ("input_scales", lambda scales: scales[:2], "input_scales are float64 of shape"),
        ("order", lambda order: np.array([1], np.uint32), "names not every output once"),
        ("order", lambda order: order.astype(np.int32), "layer0.order is int32"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_forged_tensors_are_refused(network, name, change, message):
    tensors = tensors_of(network.program)
    tensors[f"layer0.{name}"] = change(tensors[f"layer0.{name}"])
    with pytest.raises(UserError, match=message):
        image.from_bytes(forged(network.program, lambda document: document, tensors))


def test_missing_tensors_are_refused(program):
    tensors = tensors_of(program)
    for name in tensors:
        if name == "stage1.layer0.order":  # in an EIE program, these may be left out
            continue
        rest = {key: one for key, one in tensors.items() if key != name}
        with pytest.raises(UserError, match="metadata is incomplete or wrong"):
            image.from_bytes(forged(program, lambda document: document, rest))
