"""Proofs by symbolic model checking: SymbiYosys with ABC's ``pdr``, which proves without a bound.

A proof is a module whose inputs are free in every cycle but for what is assumed, and whose reset is
free, too.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from amaranth import Module, Signal, Value
from amaranth.back import rtlil
from amaranth.hdl import Assert, Assume, Fragment
from amaranth.lib import wiring

from hw.platform import flatten

SCRIPT = """\
[options]
mode prove
aigsmt none

[engines]
abc pdr

[script]
read_rtlil top.il
prep -top top

[files]
top.il
"""

YOWASP = ("yosys", "yosys-smtbmc", "yosys-witness")
"""Programs that SymbiYosys calls and that have other names as packages."""

PROVED, REFUTED = 0, 2
"""Exit codes of SymbiYosys."""

Rule = Callable[..., Any]
"""``Assert`` what the design has to see to, ``Assume`` what those around it do."""


def prove(module: Module | Fragment, inputs: Iterable[Value], folder: Path) -> str:
    """Nothing if all that ``module`` asserts holds forever; otherwise what SymbiYosys says."""
    programs = folder / "programs"
    programs.mkdir()
    for name in YOWASP:
        _script(programs / name, f"{Path(sys.executable).parent}/yowasp-{name}")
    _script(programs / "yosys-abc", _package_folder("pyosys") / "yosys-abc")
    text = rtlil.convert(module, name="top", ports=list(inputs), emit_src=False)
    (folder / "top.il").write_text(text)
    (folder / "top.sby").write_text(SCRIPT)
    places = [str(programs), str(Path(sys.executable).parent), os.environ["PATH"]]
    done = subprocess.run(
        ["yowasp-sby", "-f", "top.sby"],
        cwd=folder,
        env=os.environ | {"PATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode in (PROVED, REFUTED), said
    return "" if done.returncode == PROVED else said


def _package_folder(name: str) -> Path:
    spec = find_spec(name)
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])


def _script(path: Path, program: Path | str) -> None:
    path.write_text(f'#!/bin/sh\nexec {program} "$@"\n')
    path.chmod(0o755)


def free_inputs(component: wiring.Component, without: Iterable[str] = ()) -> list[Value]:
    """What a component takes, to be the inputs of a proof, but for some of its members."""
    skipped = tuple(f"{name}__" for name in without)
    return [
        value
        for name, (value, direction) in flatten(component).items()
        if direction.value == "input" and not name.startswith(skipped)
    ]


def waits(m: Module, rule: Rule, valid: Any, ready: Any, payload: Any, unless: Any = 0) -> None:
    """The rule of streams: what is offered stays as it is until it is taken, or until reset.

    ``unless`` is true in a cycle after which it need not.
    """
    payload = Value.cast(payload)
    offered, before = Signal(), Signal(len(payload))
    m.d.sync += [offered.eq(valid & ~ready & ~Value.cast(unless)), before.eq(payload)]
    m.d.comb += rule(~offered | (valid & (payload == before)))


def stream_rules(
    m: Module, component: wiring.Component, names: Sequence[str], unless: Any = 0
) -> None:
    """:func:`waits` of streams among the ports of a component, by name: those that come in are
    assumed to keep it."""
    for name in names:
        port = getattr(component, name)
        rule = Assume if component.signature.members[name].flow == wiring.In else Assert
        waits(m, rule, port.valid, port.ready, port.payload, unless)


def ends(m: Module, rule: Rule, lasts: Any, most: int) -> None:
    """What lasts is over after at most so many cycles."""
    count = Signal(range(most + 2))
    with m.If(~Value.cast(lasts)):
        m.d.sync += count.eq(0)
    with m.Elif(count <= most):
        m.d.sync += count.eq(count + 1)
    m.d.comb += rule(count <= most)


def under_way(m: Module, begins: Any, over: Any) -> Signal:
    """How many have begun and are not over: up to three, and it stays there."""
    count = Signal(2)
    with m.If(begins & ~over & ~count.all()):
        m.d.sync += count.eq(count + 1)
    with m.Elif(over & ~begins & count.any() & ~count.all()):
        m.d.sync += count.eq(count - 1)
    return count
