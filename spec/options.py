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


def add_pair_options(parser: argparse.ArgumentParser, name: str) -> None:
    """Add what it takes besides :func:`add_options` to name a configuration of each engine, which
    ``--engine`` asks for by ``name``."""
    for engine, options in ENGINES.items():
        parser.add_argument(
            f"--{engine}-preset",
            metavar="PRESET",
            help=f"{name}: preset of {engine}, one of {', '.join(options.presets)}; "
            f"--set {engine}.FIELD=VALUE changes one field of it",
        )


def pair_from(arguments: argparse.Namespace) -> tuple[EieConfig, NmConfig]:
    """A configuration of each engine.

    Raises
    ------
    UserError
        An option that does not say which engine it is for, and as for one engine.
    """
    if arguments.preset != "default":
        *some, last = (f"--{engine}-preset" for engine in ENGINES)
        raise UserError(
            f"--preset {arguments.preset}: of two engines; use {', '.join(some)} or {last}"
        )
    changes: dict[str, list[str]] = {engine: [] for engine in ENGINES}
    for text in arguments.set:
        engine, dot, setting = text.partition(".")
        if not dot or engine not in changes:
            raise UserError(
                f"--set {text}: of two engines; say which, as in --set {EieConfig.engine}.pes=64 "
                f"or --set {NmConfig.engine}.rows=8"
            )
        changes[engine].append(setting)

    def own(engine: str) -> argparse.Namespace:
        preset = getattr(arguments, f"{engine}_preset") or "default"
        return argparse.Namespace(**vars(arguments) | {"preset": preset, "set": changes[engine]})

    return eie.config_from(own(EieConfig.engine)), nm.config_from(own(NmConfig.engine))


def refuse_pair_options(arguments: argparse.Namespace, name: str) -> None:
    """Refuse, for one engine, what :func:`add_pair_options` added."""
    for engine in ENGINES:
        if getattr(arguments, f"{engine}_preset") is not None:
            raise UserError(f"--{engine}-preset is for --engine {name}; use --preset")


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
