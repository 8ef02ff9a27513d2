"""Strip buffer: a strip's words in, its weights, places, parameters and offsets out."""

import numpy as np
import pytest

from hw.nm.strip_buffer import StripBuffer
from sim.limbs import join
from spec.nm.config import NmConfig, preset
from spec.nm.strips import pack_strip, sections, unpack_strip
from tests.hw.streams import play
from tests.spec.nm.cases import random_case

pytestmark = pytest.mark.unit

CONFIGS = {
    "tiny": preset("tiny"),
    "narrow": preset("tiny", n=4, m=8, weight_bits=5, load_bits=256),
    "dense": preset("tiny", n=1, m=1, gather_lines=0),
    "pipeline": preset("tiny", pipeline=True),
}


def writes_of(config: NmConfig, mode, gather: bool, words: np.ndarray, bank: int) -> list[dict]:
    """A cycle for each word behind the header."""
    counts = sections(config, mode, gather, int(words[0, 0]))
    order = [("parameters", 1), ("values", 1)]
    order += [("planes", 1 << bit) for bit in range(mode.place_bits)]
    order += [("offsets", 1)] if gather else []
    left, steps = join(words)[1:], []
    for name, enable in order:
        for index in range(counts["places" if name == "planes" else name]):
            place = {"write.bank": bank, "write.index": index, "write.data": left.pop(0)}
            steps.append({f"write.{name}": enable} | place)
        steps.append({f"write.{name}": 0})
    assert not left
    return steps


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_reads_what_a_strip_says(rng, config):
    """Two strips of one layer in two banks, read in turns; the bits of places that a mode has not
    are zero, though an earlier strip of another mode has left ones."""
    for mode in config.modes:
        gather = config.gather_lines > 0
        case = random_case(rng, config, mode=mode, gather=gather, most=16)
        program = case.program
        words = [program.weights[0].strips[span] for span in program.spans[0]]
        strips = [unpack_strip(config, mode, gather, one) for one in (words * 2)[:2]]
        assert np.array_equal(pack_strip(config, mode, gather, strips[0]), words[0])
        steps: list[dict] = []
        if config.place_bits:
            ones = (1 << config.load_bits) - 1
            every = (1 << config.place_bits) - 1
            fill = {"write.planes": every, "write.data": ones}
            steps += [fill | {"write.bank": b, "write.index": i} for b in (0, 1) for i in range(4)]
        steps += writes_of(config, mode, gather, (words * 2)[0], 0)
        steps += writes_of(config, mode, gather, (words * 2)[1], 1)
        steps.append({"settings.mode": config.mode_number(mode), "i.valid": 1})
        begin, reads = len(steps), []
        for bank, number in np.ndindex(2, max(strip.steps for strip in strips)):
            number, row = number % strips[bank].steps, int(rng.integers(config.rows))
            step = {"i.payload.weight_bank": bank, "i.payload.number": number}
            step |= {"parameters.enable": 1, "parameters.bank": bank, "parameters.item": row}
            line = 0
            if gather:
                line = int(rng.integers(len(strips[bank].offsets)))
                step |= {"offsets.enable": 1, "offsets.bank": bank, "offsets.item": line}
            steps.append(step)
            reads.append((strips[bank], number, row, line))
        dut = StripBuffer(config)
        outputs = ["weights", "parameters.data"]
        outputs += ["places"] * (config.place_bits > 0) + ["offsets.data"] * gather
        found = [
            dict(zip(outputs, values, strict=True))
            for values in play(dut, steps, outputs, tail=dut.latency)
        ][begin:]
        for at, (strip, number, row, line) in enumerate(reads):
            soon, later = found[at + 1], found[at + dut.latency]
            assert later["weights"] == strip.values[number].tolist()
            assert soon["parameters.data"] == {
                name: int(getattr(strip, name)[row]) for name in ("bias", "multiplier", "shift")
            }
            if config.place_bits:
                assert later["places"] == strip.places[number].tolist()
            if gather:
                assert soon["offsets.data"] == strip.offsets[line].tolist()
