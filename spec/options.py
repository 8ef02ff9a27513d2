"""Options by which command-line tools name an engine and a configuration of it."""

import argparse
from collections.abc import Iterable

from spec.eie import options as eie
from spec.eie.config import EieConfig
from spec.errors import UserError
from spec.nm import options as nm
from spec.nm.config import NmConfig
from spec.settings import Options, add_preset, add_set

ENGINES: dict[str, Options[EieConfig] | Options[NmConfig]] = {
    EieConfig.engine: eie.OPTIONS,
    NmConfig.engine: nm.OPTIONS,
}
DEFAULT = EieConfig.engine


def add_options(parser: argparse.ArgumentParser, more: Iterable[str] = ()) -> None:
    """Add ``--engine``, ``--preset``, the options of every engine and ``--set`` to a parser.

    ``more`` is what ``--engine`` takes besides; :func:`config_from` is not for those.
    """
    names = ", ".join([*ENGINES, *more])
    parser.add_argument("--engine", default=DEFAULT, help=f"one of {names} (default: {DEFAULT})")
    presets = (f"{name}: {', '.join(options.presets)}" for name, options in ENGINES.items())
    add_preset(parser, "; of ".join(presets))
    for name, options in ENGINES.items():
        options.add_own(parser, f"{name}: ")
    add_set(parser)


def config_from(arguments: argparse.Namespace) -> EieConfig | NmConfig:
    """The configuration that the options name.

    Raises
    ------
    UserError
        An engine that does not exist, an option of another one, and whatever
        :meth:`spec.settings.Options.config_from` refuses.
    """
    if arguments.engine not in ENGINES:
        raise UserError(
            f"engine {arguments.engine!r} does not exist; there are {', '.join(ENGINES)}"
        )
    chosen = ENGINES[arguments.engine]
    for name, options in ENGINES.items():
        for option in options.own:
            if options is not chosen and getattr(arguments, option.name) is not None:
                mine = ", ".join(f"--{one.name}" for one in chosen.own)
                raise UserError(
                    f"--{option.name} is an option of the engine {name}; "
                    f"{arguments.engine} has {mine}"
                )
    return chosen.config_from(arguments)
