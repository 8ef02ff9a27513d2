"""What the hardware counts and the cycle model predicts, under the same names.

Every cycle of a run has exactly one cause::

    cycles = control + busy + weight_wait + act_wait + drain_wait + tail
"""

COUNTERS = (
    "cycles",
    "control",
    "busy",
    "weight_wait",
    "act_wait",
    "drain_wait",
    "tail",
    "loads",
    "results",
)
"""Counted once, by control, for each run.

cycles
    From the first cycle in which the array is busy to the last.
control
    Looking at the descriptor.
busy
    A step is issued: all ``config.slots`` multipliers work on it. What of that falls on padding is
    told by :func:`spec.nm.program.useful_slots`.
weight_wait
    The strip that comes next is not loaded yet.
act_wait
    Its weights are loaded, the tile that comes next is not.
drain_wait
    The last step of a tile waits: the tile before is still in the drain registers, or the result
    queue has no room. Only the second depends on whoever takes the results.
tail
    All steps are issued; the last results are on their way.
loads
    Words taken from the load stream. (An event, not a cause; so is the next one.)
results
    Words given to the result stream.
"""

CAUSES = ("control", "busy", "weight_wait", "act_wait", "drain_wait", "tail")
"""They add up to ``cycles``."""

LOST = ("weight_wait", "act_wait", "drain_wait", "tail", "control")
"""Causes of lost multiplier slots, in the order of reports. Padding comes on top."""

OF_PACE = ("cycles", "weight_wait", "act_wait", "drain_wait", "tail")
"""Those that grow when the load stream pauses or results are not taken at once. The others depend
on sizes alone."""
