"""``--set FIELD=VALUE``, by which every command-line tool changes fields of a preset."""

import argparse

from spec.errors import UserError

TRUTHS = {"true": True, "false": False}


def add_set(parser: argparse.ArgumentParser) -> None:
    """Add ``--set`` to a parser."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change one field of the preset; may be given several times",
    )


def changes_from(arguments: argparse.Namespace, named: dict[str, str]) -> dict[str, int | bool]:
    """The fields that ``--set`` and options of their own change.

    Parameters
    ----------
    named : dict
        The options that have a name of their own, and the fields that they set.

    Raises
    ------
    UserError
        A value that is none, or an option and ``--set`` that differ.
    """
    changes = dict(_setting(text) for text in arguments.set)
    for option, field in named.items():
        given = getattr(arguments, option)
        if given is None:
            continue
        value = _number(f"--{option} {given}", given)
        if changes.setdefault(field, value) != value:
            raise UserError(f"--{option} {value} contradicts --set {field}={changes[field]}")
    return changes


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
