"""Options by which every command-line tool names a configuration."""

import argparse

from spec.eie.config import PRESETS, EieConfig, preset
from spec.errors import UserError

TRUTHS = {"true": True, "false": False}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--preset``, ``--pes`` and ``--set`` to a parser."""
    add = parser.add_argument
    add("--preset", default="default", help=f"one of {', '.join(PRESETS)} (default: default)")
    add("--pes", metavar="N", help="processing elements, 1 to 256 (default: the preset's)")
    add(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change one field of the preset; may be given several times",
    )


def config_from(arguments: argparse.Namespace) -> EieConfig:
    """The configuration that the options name.

    Raises
    ------
    UserError
        A preset or field that does not exist, a value that is none or out of range, or ``--pes``
        and ``--set pes=`` that differ.
    """
    changes = dict(_setting(text) for text in arguments.set)
    if arguments.pes is not None:
        pes = _number(f"--pes {arguments.pes}", arguments.pes)
        if changes.setdefault("pes", pes) != pes:
            raise UserError(f"--pes {pes} contradicts --set pes={changes['pes']}")
    return preset(arguments.preset, **changes)


def _setting(text: str) -> tuple[str, int | bool]:
    """``FIELD=VALUE`` as a field and its value."""
    field, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set {text}: must be FIELD=VALUE")
    if value.lower() in TRUTHS:
        return field, TRUTHS[value.lower()]
    return field, _number(f"--set {text}", value)


def _number(where: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{where}: the value must be a whole number") from None
