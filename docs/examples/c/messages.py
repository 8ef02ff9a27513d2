"""Writes ``messages.h`` for ``run.c``: what a shell has to be sent to run an image on one input.

    python messages.py net.skip x.npy > messages.h

The image is one whose network the memories of an EIE array hold at once; the input is an integer
vector, as the array takes it.
"""

import sys
from collections.abc import Iterable, Iterator

import numpy as np

from spec import image
from spec.eie.iomap import Memory, pack_reads
from spec.eie.program import Program, Run
from spec.messages import Kind, message
from sw.host.eie.words import arming_writes, feed_writes, pack, segment_writes

HEAD = """\
/* Made by messages.py for run.c. */
#include <stdint.h>

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])
"""


def header(program: Program, vector: np.ndarray) -> str:
    """The text of ``messages.h``."""
    config = program.config
    runs = list(program.runs())
    if len(runs) != 1 or program.per_step:
        raise SystemExit("the network takes several runs: see sw/host/eie/driver.py")
    ((segment, run),) = runs
    assert run.feed is not None
    assert run.fetch is not None
    vectors = np.zeros((config.lanes, len(vector)), np.int64)
    vectors[0] = vector
    writes = [
        *segment_writes(config, segment),
        feed_writes(config, vectors, run.feed),
        arming_writes(config, segment, run),
    ]
    numbers = {
        "ACT_BITS": config.act_bits,
        "FIRST_PASS": segment.first_pass(config, run),
        "PASSES": len(run.passes),
        "PES": config.pes,
        "OUTPUTS": run.fetch.count,
    }
    arrays = {
        "load": message(config, Kind.WRITE, pack(config, writes)),
        "ask_first": message(config, Kind.READ, pack_reads(config, Memory.CONTROL, 0, 0)),
        "ask_outputs": message(config, Kind.READ, output_reads(program, run)),
        "order": program.order(len(program.layers) - 1),
    }
    lines = [f"#define {name} {number}" for name, number in numbers.items()]
    return "\n".join(
        [HEAD, *lines, *(line for name in arrays for line in c_array(name, arrays[name]))]
    )


def output_reads(program: Program, run: Run) -> np.ndarray:
    """Requests for the outputs of lane 0: output i is in PE i mod N, row i div N."""
    config = program.config
    assert run.fetch is not None
    row, pe = np.divmod(np.arange(run.fetch.count), config.pes)
    return pack_reads(config, Memory.ACTIVATIONS, pe, run.final_half << config.act_row_bits | row)


def c_array(name: str, words: Iterable[int]) -> Iterator[str]:
    """A constant array of 32-bit words."""
    yield f"\nstatic const uint32_t {name}[] = {{"
    found = [f"UINT32_C({int(word)})," for word in words]
    for start in range(0, len(found), 6):
        yield "    " + " ".join(found[start : start + 6])
    yield "};\n"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    found = image.read(sys.argv[1])
    if not isinstance(found, Program):
        raise SystemExit(f"{sys.argv[1]} is for another engine")
    print(header(found, np.load(sys.argv[2])))
