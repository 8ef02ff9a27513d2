"""Place and route, and look at the clock that came out."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from boards.flow import carry_out, read_json
from hw.measure.tools import Tool
from spec.errors import Failure

REPORT = "timing.json"

RIPUP = "--tmg-ripup"
"""With this option nextpnr's router takes wires up again until the clock is met. If it cannot be
met, it goes on for ever."""

RIPPED_UP = "nextpnr-ecp5"
"""The program whose large designs gain from that."""

PATIENCE = 2.0
"""How many times as long as without it we wait."""

LEAST_SECONDS = 60.0
"""We wait so long at least: a small design's first try says little about a second one."""


def place_and_route(
    command: Sequence[str], tool: Tool, folder: Path, clock_hz: float
) -> dict[str, Any]:
    """Place and route; what is too slow on an ECP5 once more, with :data:`RIPUP`, for some time.

    Whatever comes of that, the report and the placed design in ``folder`` are those of the result;
    the log is that of the last try.

    Returns
    -------
    dict
        :func:`timing` of the result, which may be too slow.
    """
    began = time.monotonic()
    carry_out(command, tool, folder)
    found = timing(read_json(folder / REPORT))
    if command[0] != RIPPED_UP or found["fmax_mhz"] * 1e6 >= clock_hz:
        return found
    patience = max(LEAST_SECONDS, PATIENCE * (time.monotonic() - began))
    if carry_out([*command, RIPUP], tool, folder, seconds=patience):
        found = timing(read_json(folder / REPORT))
    return found


def timing(report: Mapping[str, Any]) -> dict[str, Any]:
    """The clock, and what is used of the part, in nextpnr's report."""
    if not report["fmax"]:
        raise Failure("nextpnr reports no clock")
    return {
        "fmax_mhz": round(min(clock["achieved"] for clock in report["fmax"].values()), 2),
        "used": {
            kind: [one["used"], one["available"]]
            for kind, one in sorted(report["utilization"].items())
            if one["used"]
        },
    }
