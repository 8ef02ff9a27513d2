"""Schedules as text, such as ``gradual:4000``."""

import re
from collections.abc import Callable

from spec.errors import UserError
from sw.compress.schedule.admm import Admm
from sw.compress.schedule.base import Schedule
from sw.compress.schedule.curves import Gradual, Iterative, OneShot
from sw.compress.schedule.sr_ste import SrSte

NUMBER = r"\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?"
"""A number of 0 or more, as a regular expression."""

FORMS: dict[str, tuple[str, Callable[..., Schedule]]] = {
    "one-shot": (r"one-shot", OneShot),
    "iterative:PRUNINGSxSTEPS": (r"iterative:(\d+)x(\d+)", lambda n, s: Iterative(int(n), int(s))),
    "gradual:STEPS[xPRUNINGS]": (
        r"gradual:(\d+)(?:x(\d+))?",
        lambda steps, n: Gradual(int(steps), int(n or 10)),
    ),
    "sr-ste[:DECAY[xEVERY]]": (
        rf"sr-ste(?::({NUMBER})(?:x(\d+))?)?",
        lambda decay, every: SrSte(float(decay or SrSte.decay), int(every or SrSte.every)),
    ),
    "admm:STAGESxSTEPS+RETRAIN": (
        r"admm:(\d+)x(\d+)\+(\d+)",
        lambda *numbers: Admm(*map(int, numbers)),
    ),
}
"""How each schedule is written, for people and as a regular expression, and what makes it."""


def parse(text: str | Schedule) -> Schedule:
    """The schedule that a text names; a schedule is given back as it is.

    Raises
    ------
    UserError
        With all forms, if the text has none of them.
    """
    if isinstance(text, Schedule):
        return text
    for expression, make in FORMS.values() if isinstance(text, str) else ():
        if found := re.fullmatch(expression, text.strip()):
            return make(*found.groups())
    raise UserError(f"the schedule {text!r} was given; there are {', '.join(FORMS)}")
