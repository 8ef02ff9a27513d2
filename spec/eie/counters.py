"""What the hardware counts and the cycle model predicts, under the same names.

In every cycle of a pass each PE is in exactly one of these states, so that for every PE::

    cycles = busy + pads + empty + starved + imbalance + drain + control
"""

PE_COUNTERS = ("busy", "pads", "empty", "starved", "imbalance", "blocking", "lines", "gated")
"""Counted in each PE, for each pass.

busy
    Matrix read hands on an entry that is a weight: a multiply-accumulate in every lane.
pads
    Matrix read hands on a pad alone.
empty
    Matrix read has no column, and pointer read holds one that has no entry in this PE.
starved
    Matrix read has no column although broadcasting goes on (or the column is still on its way).
imbalance
    All is broadcast in this PE's cluster and it has finished; others have not.
blocking
    A broadcast had to wait and this PE's queue was full. (Overlaps the others: it is a cause, not a
    state.)
lines
    Lines read from the matrix memory. (An event, not a state; so is the next one.)
gated
    Lanes in which a weight met a zero activation: their multiplier and accumulator stood still.
    ``busy * lanes - gated`` multiply-accumulates were made.
"""

ARRAY_COUNTERS = (
    "cycles",
    "control",
    "compute",
    "drain",
    "broadcasts",
    "stalls",
    "loads",
    "hidden",
)
"""Counted once, by central control, for each pass.

cycles
    ``control + compute + drain``.
control
    Reading the descriptor, as far as that is not done behind the pass before, and the first row of
    activations.
compute
    From the first look at a row of activations until the last accumulator is written.
drain
    Sum of the clusters, bias, scale, round, saturate, ReLU, store: a row of a cluster in a cycle.
broadcasts
    Columns broadcast, of all clusters: those with a non-zero activation in any lane.
stalls
    Cycles in which the broadcast of a cluster waited because the queue of one of its PEs was full.
loads
    Words that the host wrote since the run before began: a cycle each. Counted in a run's first
    pass, and kept until the next run.
hidden
    Words that the host wrote during this pass, for the next run: the part of that run's ``loads``
    that takes no time of its own. Depends on the host's pace, and is exact when it writes a word in
    every cycle.
"""

LOST = ("starved", "imbalance", "pads", "empty", "drain", "control")
"""Causes of lost multiply-accumulate slots, in the order of reports."""
