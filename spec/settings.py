"""Options by which command-line tools name a configuration: a preset, fields that have an option of
their own, and ``--set FIELD=VALUE`` for all others."""

import argparse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic

from spec.config import AnyConfig
from spec.errors import UserError

TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True)
class Option:
    """An option that sets a field: ``--name METAVAR``."""

    name: str
    field: str
    metavar: str
    help: str


@dataclass(frozen=True, kw_only=True)
class Options(Generic[AnyConfig]):
    """The options of an engine.

    Attributes
    ----------
    presets : mapping
    preset : callable
        A preset with some fields changed.
    own : tuple of Option
        Fields that have an option of their own.
    """

    presets: Mapping[str, AnyConfig]
    preset: Callable[..., AnyConfig]
    own: tuple[Option, ...]

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Add ``--preset``, the engine's own options and ``--set`` to a parser."""
        add_preset(parser, ", ".join(self.presets))
        self.add_own(parser)
        add_set(parser)

    def add_own(self, parser: argparse.ArgumentParser, whose: str = "") -> None:
        """Add only those that the engine does not share with others; ``whose`` they are stands
        before their help."""
        for option in self.own:
            text = whose + option.help
            parser.add_argument(f"--{option.name}", metavar=option.metavar, help=text)

    def config_from(self, arguments: argparse.Namespace) -> AnyConfig:
        """The configuration that the options name.

        Raises
        ------
        UserError
            A preset or field that does not exist, a value that is none or out of range, or an
            option and ``--set`` that differ.
        """
        return self.preset(arguments.preset, **_changes(arguments, self.own))


def add_preset(parser: argparse.ArgumentParser, names: str) -> None:
    """Add ``--preset``."""
    parser.add_argument("--preset", default="default", help=f"one of {names} (default: default)")


def add_set(parser: argparse.ArgumentParser) -> None:
    """Add ``--set``."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="change one field of the preset; may be given several times",
    )


def _changes(arguments: argparse.Namespace, own: Iterable[Option]) -> dict[str, int | bool]:
    """The fields that ``--set`` and options of their own change."""
    changes = dict(_setting(text) for text in arguments.set)
    for option in own:
        given = getattr(arguments, option.name)
        if given is None:
            continue
        value = _number(f"--{option.name} {given}", given)
        if changes.setdefault(option.field, value) != value:
            raise UserError(
                f"--{option.name} {value} contradicts --set {option.field}={changes[option.field]}"
            )
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
