# amaranth: UnusedElaboratable=no
"""The memory of neighbours against a list of words, in Amaranth's simulator and as emitted."""

import pytest

from hw.emit import emit
from hw.measure.up5k import up5k
from hw.pair_memory import PairRam
from tests.hw.streams import play
from tests.hw.test_memory import Around
from tests.hw.tools import difference, yosys


def model(width: int, depth: int, traffic: list[dict[str, int]]) -> list[tuple[int, int]]:
    """Both answers before each cycle, from a list. A read in a cycle of a write gives inverses."""
    words, answers, seen = [0] * depth, (0, 0), []
    for one in traffic:
        seen.append(answers)
        at, flip = one["address"], ((1 << width) - 1) * one["write_enable"]
        if one["read_enable"]:
            answers = (words[at] ^ flip, words[(at + 1) % depth] ^ flip)
        if one["write_enable"]:
            words[at] = one["write_data"]
    return seen


@pytest.mark.unit
@pytest.mark.parametrize("depth", [2, 8, 64])
@pytest.mark.parametrize("width", [1, 13])
def test_it_does_what_a_list_does(rng, depth, width):
    most = {"write_enable": 2, "write_data": 1 << width, "read_enable": 2, "address": depth}
    traffic = [{name: int(rng.integers(below)) for name, below in most.items()} for _ in range(300)]
    found = play(PairRam(width, depth), traffic, ["read_data", "next_data"])
    assert found == model(width, depth, traffic)


@pytest.mark.unit
@pytest.mark.parametrize(("width", "depth"), [(0, 4), (4, 0)])
def test_a_memory_of_nothing_is_refused(width, depth):
    with pytest.raises(ValueError, match=f"{depth} words of {width} bits"):
        PairRam(width, depth)


@pytest.mark.synth
@pytest.mark.parametrize(("width", "depth"), [(1, 2), (3, 4), (4, 8)])
def test_the_emitted_memory_is_the_simulated_one(tmp_path, width, depth):
    assert not difference(lambda: Around(PairRam(width, depth)), tmp_path, steps=6)


@pytest.mark.synth
@pytest.mark.parametrize(("width", "depth"), [(3, 4), (2, 8)])
def test_two_banks_do_the_same(tmp_path, width, depth):
    """The module that replaces the emitted one where block RAMs read one word."""
    name = f"skipstone_pair_ram_{depth}x{width}"
    files = emit(PairRam(width, depth), name)
    (tmp_path / "gold.v").write_text(files[f"{name}.v"].replace(name, "gold"))
    (tmp_path / "gate.v").write_text(up5k(files)[f"{name}.v"].replace(name, "gate"))
    code, log = yosys(
        f"read_verilog {tmp_path}/gold.v {tmp_path}/gate.v",
        "proc",
        "memory_map",
        "opt_clean",
        "miter -equiv -make_outputs -flatten gold gate both",
        "hierarchy -top both",
        "sat -verify -prove trigger 0 -seq 6 -set-init-zero -show-ports both",
    )
    assert code == 0, log[-2000:]
    assert (tmp_path / "gold.v").read_text() != (tmp_path / "gate.v").read_text()
