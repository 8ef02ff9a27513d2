"""What a build is of: an array or a unit of it, or a shell around arrays."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from amaranth.lib import wiring

from hw.engines import ARRAY, find_unit
from hw.manifest import skipstone_version
from hw.shells import find_link
from hw.vivado import vivado_files
from spec.config import Config
from spec.options import ENGINES
from spec.registers.files import register_files
from spec.registers.table import registers


@dataclass(frozen=True, kw_only=True)
class Design:
    """What is emitted, and what is said about it.

    Attributes
    ----------
    name : str
        Of the folder and of the FuseSoC core.
    library : str
        In which FuseSoC finds it.
    title : str
        What people call it.
    digests : str
        Of its configurations.
    make : callable
        The component.
    top : str
        Its Verilog module.
    facts : mapping
        What the manifest says about its configurations.
    files : mapping
        Texts beside the Verilog, by path.
    """

    name: str
    library: str
    title: str
    digests: str
    make: Callable[[], wiring.Component]
    top: str
    facts: Mapping[str, Any]
    files: Mapping[str, str] = field(default_factory=dict)


def unit_design(config: Config, unit: str = ARRAY) -> Design:
    """The array of ``config``, or a unit of it; :class:`UserError` if there is no such unit."""
    what = find_unit(config, unit)
    return Design(
        name=default_name(config, unit),
        library=config.engine,
        title=what.title,
        digests=config.digest,
        make=partial(what.make, config),
        top=what.top,
        facts={"engine": config.engine, "unit": unit, **_facts(config)},
    )


def shell_design(configs: Sequence[Config], link: str, **settings: float) -> Design:
    """A shell around arrays: one, or one of each engine.

    Parameters
    ----------
    configs : sequence of EieConfig and NmConfig
    link : str
        One of :data:`hw.shells.LINKS`.
    settings : float
        What that link has to be told.

    Raises
    ------
    UserError
        No shell has such a link, such settings or such arrays.
    """
    what, table = find_link(link, settings), registers(configs)
    exports = register_files(table, skipstone_version())
    ordered = sorted(configs, key=lambda config: list(ENGINES).index(config.engine))
    return Design(
        name="-".join([link, *map(default_name, ordered)]),
        library="shell",
        title=what.title,
        digests=" and ".join(config.digest for config in ordered),
        make=partial(what.make, ordered, *(settings[name] for name in what.settings)),
        top=what.top,
        facts={"shell": link, **settings, "engines": {one.engine: _facts(one) for one in ordered}},
        files={f"registers/{file}": text for file, text in exports.items()}
        | (vivado_files(what.top) if what.axi else {}),
    )


def default_name(config: Config, unit: str = ARRAY) -> str:
    """The engine and the array's size, or the unit; then the preset if it is not the default, or
    the digest if it is no preset of that size."""
    options = ENGINES[config.engine]
    sizes = {option.field: getattr(config, option.field) for option in options.own}
    stem = f"{config.engine}-{'x'.join(map(str, sizes.values()))}"
    if unit != ARRAY:
        sizes, stem = {}, f"{config.engine}-{unit}"
    for name in options.presets:
        if options.preset(name, **sizes) == config:
            return stem + ("" if name == "default" else f"-{name}")
    return f"{stem}-{config.digest}"


def _facts(config: Config) -> dict[str, Any]:
    return {"config": config.to_json(), "digest": config.digest}
