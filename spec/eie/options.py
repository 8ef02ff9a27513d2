"""Options by which every command-line tool names a configuration."""

import argparse

from spec.eie.config import PRESETS, EieConfig, preset
from spec.settings import add_set, changes_from


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--preset``, ``--pes`` and ``--set`` to a parser."""
    add = parser.add_argument
    add("--preset", default="default", help=f"one of {', '.join(PRESETS)} (default: default)")
    add("--pes", metavar="N", help="processing elements, 1 to 256 (default: the preset's)")
    add_set(parser)


def config_from(arguments: argparse.Namespace) -> EieConfig:
    """The configuration that the options name.

    Raises
    ------
    UserError
        A preset or field that does not exist, a value that is none or out of range, or ``--pes``
        and ``--set pes=`` that differ.
    """
    return preset(arguments.preset, **changes_from(arguments, {"pes": "pes"}))
