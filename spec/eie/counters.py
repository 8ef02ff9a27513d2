"""What the hardware counts and the cycle model predicts, under the same names.

In every cycle of a pass each PE is in exactly one of these states, so that for every PE::

    cycles = busy + pads + empty + starved + imbalance + drain + control
"""

PE_COUNTERS = ("busy", "pads", "empty", "starved", "imbalance", "blocking")
"""Counted in each PE, for each pass.

busy
    Matrix read hands on an entry that is a weight: one useful multiply-accumulate.
pads
    Matrix read hands on a pad.
empty
    Matrix read has no column, and pointer read holds one that has no entry in this PE.
starved
    Matrix read has no column although broadcasting goes on (or the column is still on its way).
imbalance
    All is broadcast and this PE has finished; others have not.
blocking
    A broadcast had to wait and this PE's queue was full. (Overlaps the others: it is a cause, not a
    state.)
"""

ARRAY_COUNTERS = ("cycles", "control", "compute", "drain", "broadcasts", "stalls")
"""Counted once, by central control, for each pass.

cycles
    ``control + compute + drain``.
control
    Reading the descriptor and the first row of activations.
compute
    From the first look at a row of activations until the last accumulator is written.
drain
    Bias, scale, round, saturate, ReLU and store, one row of every PE in a cycle.
broadcasts
    Columns broadcast: non-zero activations.
stalls
    Cycles in which a broadcast waited because the queue of some PE was full.
"""

LOST = ("starved", "imbalance", "pads", "empty", "drain", "control")
"""Causes of lost multiply-accumulate slots, in the order of reports."""
