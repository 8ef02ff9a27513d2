"""Loader: every word to its place, in the order of the schedule, at any pace."""

import pytest

from hw.nm.loader import Loader
from sim.limbs import join
from spec.nm.config import NmConfig, preset
from spec.nm.descriptor import Descriptor
from spec.nm.program import Program
from spec.nm.stream import StripLoad, load_words, schedule
from spec.nm.strips import sections
from tests.hw.streams import paces, plain, play, send, simulate
from tests.spec.nm.cases import random_case

pytestmark = pytest.mark.unit

CONFIGS = {
    "tiny": preset("tiny", act_lines=6),
    "wide": preset("tiny", n=4, m=8, load_bits=256, act_lines=4, weight_steps=64),
    "dense": preset("tiny", n=1, m=1, gather_lines=0, act_lines=6, weight_steps=64),
}

Write = tuple[str, int, int, int]
"""Where a word goes: section, bank, number there (of a line: line and word), and the word."""


def writes_of(program: Program, d: Descriptor, words: list[int]) -> list[Write]:
    """What the schedule says; headers go nowhere."""
    config, left, number = program.config, list(words), 0
    mode, line_words = config.modes[d.mode], config.line_bits // config.load_bits
    writes: list[Write] = []
    for load in schedule(d):
        if isinstance(load, StripLoad):
            counts = sections(config, mode, d.gather, left.pop(0) & 0xFFFF)
            names = ["parameters", "values"]
            names += [f"plane{bit}" for bit in range(mode.place_bits)]
            names += ["offsets"] * d.gather
            for name in names:
                count = counts["places" if name.startswith("plane") else name]
                writes += [(name, number % 2, at, left.pop(0)) for at in range(count)]
            number += 1
        else:
            first = load.first * line_words
            for at in range(first, first + load.count * line_words):
                writes.append(("line", load.block % 2, at, left.pop(0)))
    assert not left
    return writes


def enabled(config: NmConfig, strip: dict, line: dict) -> list[Write]:
    """What the loader's ports say in a cycle."""
    line_words = config.line_bits // config.load_bits
    where = [(name, strip.get(name, 0)) for name in ("parameters", "values", "offsets")]
    planes = strip.get("planes", 0)
    where += [(f"plane{bit}", planes >> bit & 1) for bit in range(config.place_bits)]
    writes = [(name, strip["bank"], strip["index"], strip["data"]) for name, on in where if on]
    if line["enable"]:
        at = line["line"] * line_words + line["word"]
        writes.append(("line", line["bank"], at, line["data"]))
    return writes


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
@pytest.mark.parametrize("traffic", [0, 3])
def test_places_of_words(rng, config, traffic):
    """A strip is used up and its bank free some cycles after it is full, in order."""
    for _ in range(2):
        case = random_case(rng, config, most=20)
        d = case.program.descriptor(0, len(case.acts))
        words = join(load_words(case.program, 0, d, case.acts))
        pace, _ = paces(rng)[traffic]
        dut, writes, told = Loader(config), [], []
        fields = {name: int(getattr(d, name)) for name in vars(d)}

        async def feed(ctx, dut=dut, words=words, pace=pace, fields=fields) -> None:
            for name, value in fields.items():
                ctx.set(dut.settings[name], value)
            await send(ctx, dut.i, words, pace)
            await ctx.tick()

        async def record(ctx, dut=dut, writes=writes) -> None:
            names = {"strip": dut.strip, "line": dut.line}
            ports = [getattr(one, name) for one in names.values() for name in one.signature.members]
            keys = [(kind, name) for kind, one in names.items() for name in one.signature.members]
            async for _, _, *values in ctx.tick().sample(*ports):
                found: dict[str, dict] = {"strip": {}, "line": {}}
                for (kind, name), value in zip(keys, values, strict=True):
                    found[kind][name] = plain(value)
                writes += enabled(config, found["strip"], found["line"])

        async def use(ctx, dut=dut, told=told) -> None:
            number = 0
            while True:
                bank = number % 2
                while not ctx.get(dut.loaded.full[bank]):
                    await ctx.tick()
                told.append(ctx.get(dut.loaded.last_step[bank]))
                for port in (dut.strip_used, dut.strip_done):
                    ctx.set(port.bank, bank)
                    ctx.set(port.enable, 1)
                    await ctx.tick()
                    ctx.set(port.enable, 0)
                number += 1

        simulate(dut, feed, background=[record, use])
        assert writes == writes_of(case.program, d, words)
        steps = (case.program.steps(0) - 1).tolist() * d.blocks
        assert told == steps[: len(told)]
        assert len(told) >= len(steps) - 1


@pytest.mark.parametrize(("steps", "error"), [(0, 1), (1, 0), (16, 0), (17, 1), (0xFFFF, 1)])
def test_headers(steps, error):
    """The error is told together with the word; what is above the steps does not count."""
    header = {"i.valid": 1, "i.payload": 0xABC << 16 | steps}
    found = play(Loader(preset("tiny")), [{}, header], ["took", "error"])
    assert found == [(0, 0), (1, error)]


def test_a_header_waits_for_its_bank():
    """The third strip's, until the first one is done with."""
    config = preset("tiny", n=1, m=1, rows=1)
    settings = dict.fromkeys(Descriptor.__dataclass_fields__, 0)
    settings |= {"strips": 3, "input_lines": 1, "tiles": 1, "block_tiles": 1}
    begin = {"settings": settings, "i.valid": 1, "i.payload": 1}
    taken = 3 + config.line_bits // config.load_bits + 3
    steps = [begin, *[{}] * (taken + 4), {"strip_done.enable": 1}, {"strip_done.enable": 0}, {}]
    found = [ready for (ready,) in play(Loader(config), steps, ["i.ready"])]
    assert found == [1] * taken + [0] * 6 + [1, 1]
