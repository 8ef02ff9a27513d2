"""Options by which every command-line tool names a configuration of the N:M engine."""

import argparse

from spec.errors import UserError
from spec.nm.config import PRESETS, NmConfig, preset


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--preset``, ``--rows``, ``--cols`` and ``--set`` to a parser."""
    add = parser.add_argument
    add("--preset", default="default", help=f"one of {', '.join(PRESETS)} (default: default)")
    add("--rows", metavar="R", help="outputs computed at once, a power of two (the preset's)")
    add("--cols", metavar="C", help="tokens computed at once, a power of two (the preset's)")
    add(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change one field of the preset; may be given several times",
    )


def config_from(arguments: argparse.Namespace) -> NmConfig:
    """The configuration that the options name.

    Raises
    ------
    UserError
        A preset or field that does not exist, a value that is none or out of range, or ``--rows``
        (``--cols``) and ``--set rows=`` (``columns=``) that differ.
    """
    changes = dict(_setting(text) for text in arguments.set)
    for option, field in (("rows", "rows"), ("cols", "columns")):
        given = getattr(arguments, option)
        if given is None:
            continue
        value = _number(f"--{option} {given}", given)
        if changes.setdefault(field, value) != value:
            raise UserError(f"--{option} {value} contradicts --set {field}={changes[field]}")
    return preset(arguments.preset, **changes)


def _setting(text: str) -> tuple[str, int]:
    """``FIELD=VALUE`` as a field and its value."""
    field, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set {text}: must be FIELD=VALUE")
    return field, _number(f"--set {text}", value)


def _number(where: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{where}: the value must be a whole number") from None
