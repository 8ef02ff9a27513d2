"""Matrix read stepped entry by entry: a second, slow statement of what a column costs.

No arrays: it stands at an entry, looks at the one behind it in the same line, and decides. It
exists to be compared with :mod:`spec.eie.work`.
"""

from spec.eie.config import EieConfig
from spec.eie.program import Pass, Segment

Cost = tuple[int, int, int]
"""Cycles with a weight, cycles with a pad alone, lines that are read."""


def walk(pads: list[bool], start: int, per_line: int, share_pads: bool) -> Cost:
    """Hand on the entries of one column.

    Parameters
    ----------
    pads : list of bool
        Which entries are pads.
    start : int
        Where the first entry stands, counted from the first slot of a line.
    """
    weights = lone = lines = at = 0
    line = None
    while at < len(pads):
        here, slot = divmod(start + at, per_line)
        if here != line:
            line = here
            lines += 1
        follows = pads[at + 1] if at + 1 < len(pads) and slot + 1 < per_line else None
        if not share_pads or follows is None:
            together = False
        elif pads[at]:
            together = not follows
        else:
            together = follows and slot + 1 == per_line - 1
        if together or not pads[at]:
            weights += 1
        else:
            lone += 1
        at += 1 + together
    return weights, lone, lines


def walk_memory(config: EieConfig, segment: Segment, step: Pass, pe: int, column: int) -> Cost:
    """The same from the words in the memories of a PE: a column of its cluster in a pass."""
    bases, descriptor = segment.bases(config), step.descriptor
    width = config.code_bits + config.run_bits + descriptor.widen
    per_line = config.line_bits // width
    word = descriptor.pointer_base - bases.pointers + column
    low = (1 << config.slot_bits) - 1
    first, end = (
        (pointer >> config.slot_bits) * per_line + (pointer & low)
        for pointer in segment.pointers[pe, word : word + 2].tolist()
    )
    pads = []
    for entry in range(first, end):
        line, slot = divmod(entry, per_line)
        bits = int(segment.lines[pe, line - bases.lines]) >> (slot * width)
        pads.append(bits & (config.codes - 1) == 0)
    return walk(pads, first, per_line, config.share_pads)
