"""Reads the RTLIL text that Amaranth writes into plain objects.

Only what Amaranth writes is read. That is a small part of yosys' language, with a few comforts:
every cell and every process drives exactly one whole wire, and nothing reads an alias of a wire.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from hw.verilog.values import Chunk, Spec


@dataclass
class Wire:
    name: str
    width: int
    direction: str = ""
    """``input`` or ``output`` if it is a port."""
    initial: int | None = None
    names: dict[int, str] = field(default_factory=dict)
    """Names of values, for a wire that carries an enumeration."""

    @property
    def anonymous(self) -> bool:
        return self.name.startswith("$")

    @property
    def whole(self) -> Spec:
        return (Chunk(self.name, 0, self.width),)


@dataclass
class Memory:
    name: str
    width: int
    depth: int


@dataclass
class Cell:
    """An operator (``kind`` starts with ``$``) or an instance of the module ``kind``."""

    kind: str
    name: str
    parameters: dict[str, int | str] = field(default_factory=dict)
    ports: dict[str, Spec] = field(default_factory=dict)


@dataclass
class Assign:
    target: Chunk
    value: Spec


@dataclass
class Switch:
    """The first case with a matching pattern counts; a case without patterns matches always."""

    selector: Spec
    cases: list[tuple[list[str], list["Assign | Switch"]]] = field(default_factory=list)


Body = list[Assign | Switch]


@dataclass
class Module:
    name: str
    wires: dict[str, Wire] = field(default_factory=dict)
    memories: dict[str, Memory] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    processes: list[Body] = field(default_factory=list)
    connects: list[tuple[str, Spec]] = field(default_factory=list)

    @property
    def ports(self) -> dict[str, Wire]:
        """Its ports; Verilog has none without bits."""
        return {w.name: w for w in self.wires.values() if w.direction and w.width}


_TOKEN = re.compile(r"\[(\d+)(?::(\d+))?\]|(\d+)'([01x-]*)|([\\$]\S+)|[{}]")


def _name(token: str) -> str:
    return token[1:] if token.startswith("\\") else token


class _Reader:
    def __init__(self, text: str):
        self.lines = (line for line in map(str.strip, text.splitlines()) if line)
        self.module = Module("")
        self.attributes: dict[str, str] = {}

    def modules(self) -> Iterator[Module]:
        for line in self.lines:
            word, _, rest = line.partition(" ")
            if word == "attribute":
                continue
            if word != "module":
                raise ValueError(f"RTLIL: {line!r} outside a module")
            self.module = Module(_name(rest))
            self._contents()
            yield self.module

    def _contents(self) -> None:
        readers = {"wire": self._wire, "memory": self._memory, "cell": self._cell}
        for line in self.lines:
            word, _, rest = line.partition(" ")
            if word == "end":
                return
            if word == "attribute":
                name, _, value = rest.partition(" ")
                self.attributes[_name(name)] = value
                continue
            if word == "process":
                self.module.processes.append(self._body())
            elif word == "connect":
                target, _, value = rest.partition(" ")
                self.module.connects.append((_name(target), self._spec(value)))
            else:
                readers[word](rest.split())
            self.attributes = {}

    def _wire(self, words: list[str]) -> None:
        """``width N [input ID | output ID] [signed] NAME``"""
        wire = Wire(_name(words[-1]), int(words[1]))
        wire.direction = next((word for word in words if word in ("input", "output")), "")
        if "inout" in words:
            raise ValueError(f"port {wire.name} is bidirectional, which is not emitted")
        for name, value in self.attributes.items():
            if name == "init":
                wire.initial = int(value.partition("'")[2] or "0", 2)
            elif name.startswith("enum_value_"):
                wire.names[int(name.removeprefix("enum_value_"), 2)] = value.strip('"')
        self.module.wires[wire.name] = wire

    def _memory(self, words: list[str]) -> None:
        name = _name(words[-1])
        self.module.memories[name] = Memory(name, int(words[1]), int(words[3]))

    def _cell(self, words: list[str]) -> None:
        cell = Cell(_name(words[0]), _name(words[1]))
        for line in self.lines:
            if line == "end":
                break
            word, name, value = line.split(" ", 2)
            if word == "connect":
                cell.ports[_name(name)] = self._spec(value)
            elif value.startswith('"'):
                cell.parameters[_name(name)] = _name(value.strip('"').replace("\\\\", "\\"))
            else:
                _, quote, bits = value.partition("'")
                number = int(bits.replace("x", "0") or "0", 2) if quote else int(value)
                cell.parameters[_name(name)] = number
        self.module.cells.append(cell)

    def _body(self) -> Body:
        """Statements up to the line that ends them; a case ends where the next one starts."""
        body: Body = []
        for line in self.lines:
            word, _, rest = line.partition(" ")
            if word == "end":
                break
            if word == "assign":
                body.append(self._assign(rest))
            elif word == "switch":
                body += self._switch(rest)
        return body

    def _assign(self, text: str) -> Assign:
        match = re.match(r"(\S+)(?: \[\S+\])? ", text)
        assert match
        (target,) = self._spec(match[0])
        return Assign(target, self._spec(text[match.end() :]))

    def _switch(self, selector: str) -> Body:
        switch = Switch(self._spec(selector))
        body: Body = []
        for line in self.lines:
            word, _, rest = line.partition(" ")
            if word == "end":
                break
            if word == "case":
                body = []
                switch.cases.append((re.findall(r"'([01-]+)", rest), body))
            elif word == "assign":
                body.append(self._assign(rest))
            elif word == "switch":
                body += self._switch(rest)
        # Amaranth keeps the order of assignments behind a switch by an unconditional one.
        return switch.cases[0][1] if not switch.selector and switch.cases else [switch]

    def _spec(self, text: str) -> Spec:
        chunks: list[Chunk] = []
        for match in _TOKEN.finditer(text):
            high, low, width, bits, name = match.groups()
            if name is not None:
                chunks.append(Chunk(_name(name), 0, self.module.wires[_name(name)].width))
            elif high is not None:
                start = int(low or high)
                chunks[-1] = Chunk(chunks[-1].wire, start, int(high) - start + 1)
            elif width is not None and int(width):
                chunks.append(Chunk("", 0, int(width), int(bits.replace("x", "0"), 2)))
        return tuple(reversed([chunk for chunk in chunks if chunk.width]))


def read(text: str) -> dict[str, Module]:
    """The modules of an RTLIL text, by name, in the order in which they stand."""
    return {module.name: module for module in _Reader(text).modules()}
