"""Station by itself: what it hands on, and what it gathers, each a cycle later."""

from typing import Any

import numpy as np
import pytest
from amaranth import Shape, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from hw.eie.broadcast import ROOM_PLACES
from hw.eie.registered_pe import registered_members
from hw.eie.station import Station, told_members
from spec.eie.config import EieConfig, preset
from tests.hw.streams import simulate

pytestmark = pytest.mark.unit

CONFIGS = {
    "alone": {"pes": 11, "clusters": 1},
    "three": {"pes": 3, "clusters": 1},
    "four": {"pes": 16, "clusters": 2},
    "lanes": {"pes": 4, "clusters": 1, "lanes": 4},
}
STATION_PES = {"alone": 1, "three": 3, "four": 4, "lanes": 4}


def config_of(name: str) -> EieConfig:
    return preset("tiny", scan_pipeline=True, pe_registers=True, **CONFIGS[name])


def draw(rng: np.random.Generator, bits: int) -> int:
    """All bits, or one, or all but one, as often: so ORs and ANDs show each bit."""
    full, one = (1 << bits) - 1, 1 << int(rng.integers(bits))
    word = int.from_bytes(rng.bytes(bits // 8 + 1), "little") & full
    return [0, full, one, full ^ one, word, word][rng.integers(6)]


async def step(ctx: Any, inputs: dict[str, Value], outputs: dict[str, Value], rng) -> tuple:
    """A cycle with random inputs; gives these, and the outputs of the cycle."""
    words = {name: draw(rng, len(port)) for name, port in inputs.items()}
    for name, port in inputs.items():
        ctx.set(port, words[name])
    _, _, *found = await ctx.tick().sample(*outputs.values())
    return words, dict(zip(outputs, found, strict=True))


@pytest.mark.parametrize("name", CONFIGS)
def test_what_goes_in_comes_out_a_cycle_later(name: str, rng: np.random.Generator) -> None:
    """Of every member, all bits, in every cycle; and the host's access to each PE."""
    dut = Station(config_of(name))
    assert dut.pes == STATION_PES[name]
    names = [*dut.i.signature.members]
    inputs = {one: Value.cast(getattr(dut.i, one)) for one in names}
    outputs = {one: Value.cast(getattr(dut.o, one)) for one in names}
    for pe in range(dut.pes):
        inputs[f"host {pe}"], outputs[f"host {pe}"] = dut.host[pe], dut.host_o[pe]

    async def testbench(ctx) -> None:
        expected = dict.fromkeys(outputs, 0)
        for _ in range(200):
            words, found = await step(ctx, inputs, outputs, rng)
            assert found == expected
            expected = words

    simulate(dut, testbench)


@pytest.mark.parametrize("name", CONFIGS)
def test_pes_hear_everything_over_it(name: str) -> None:
    """Every input of a registered PE has its place in ``o``, as wide, but for whether the host asks
    this PE, and for what goes another way."""
    config = config_of(name)
    others = ("host__write_enable", "host__read_enable", "reduced")
    wanted = {
        "__".join(map(str, path)): Shape.cast(member.shape).width
        for path, member in wiring.Signature(registered_members(config)).members.flatten()
        if member.is_port and member.flow == In
    }
    told = {one: Shape.cast(member.shape).width for one, member in told_members(config).items()}
    assert told == {one: width for one, width in wanted.items() if one not in others}


@pytest.mark.parametrize("name", CONFIGS)
def test_what_pes_tell_is_gathered(name: str, rng: np.random.Generator) -> None:
    """Room that all of them have; errors and answers of any of them."""
    dut = Station(config_of(name))
    inputs = {"row_error": dut.row_errors, "pointer_error": dut.pointer_errors}
    for pe in range(dut.pes):
        inputs |= {f"room {pe}": dut.room[pe], f"answer {pe}": dut.answers[pe]}
    outputs = {one: getattr(dut, one) for one in ("row_error", "pointer_error", "common", "answer")}

    async def testbench(ctx) -> None:
        expected = dict.fromkeys(outputs, 0)
        for _ in range(400):
            words, found = await step(ctx, inputs, outputs, rng)
            assert found == expected
            rooms = [words[f"room {pe}"] for pe in range(dut.pes)]
            answers = [words[f"answer {pe}"] for pe in range(dut.pes)]
            expected = {
                "row_error": int(words["row_error"] > 0),
                "pointer_error": int(words["pointer_error"] > 0),
                "common": sum(
                    1 << at for at in range(ROOM_PLACES) if all(room >> at & 1 for room in rooms)
                ),
                "answer": int(np.bitwise_or.reduce(np.array(answers, dtype=object))),
            }

    simulate(dut, testbench)


def test_the_answer_of_the_pe_that_was_asked(rng: np.random.Generator) -> None:
    """The others are zero: the host gets it as it is, in the next cycle and not in another."""
    config = config_of("four")
    dut = Station(config)

    async def testbench(ctx) -> None:
        for _ in range(40):
            pe, word = rng.integers(dut.pes), 1 + draw(rng, config.element_answer_bits - 1)
            ctx.set(dut.answers[pe], word)
            assert (await ctx.tick().sample(dut.answer))[-1] == 0
            ctx.set(dut.answers[pe], 0)
            assert (await ctx.tick().sample(dut.answer))[-1] == word

    simulate(dut, testbench)
