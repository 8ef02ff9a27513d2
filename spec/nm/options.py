"""Options by which every command-line tool names a configuration of the N:M engine."""

import argparse

from spec.nm.config import PRESETS, NmConfig, preset
from spec.settings import add_set, changes_from


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--preset``, ``--rows``, ``--cols`` and ``--set`` to a parser."""
    add = parser.add_argument
    add("--preset", default="default", help=f"one of {', '.join(PRESETS)} (default: default)")
    add("--rows", metavar="R", help="outputs computed at once, a power of two (the preset's)")
    add("--cols", metavar="C", help="tokens computed at once, a power of two (the preset's)")
    add_set(parser)


def config_from(arguments: argparse.Namespace) -> NmConfig:
    """The configuration that the options name.

    Raises
    ------
    UserError
        A preset or field that does not exist, a value that is none or out of range, or ``--rows``
        (``--cols``) and ``--set rows=`` (``columns=``) that differ.
    """
    return preset(arguments.preset, **changes_from(arguments, {"rows": "rows", "cols": "columns"}))
