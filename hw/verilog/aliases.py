"""Gives names back to parts of values.

Amaranth knows a field of a structure, or a joint value, by the wires that it is made of; the names
that a person gave are left as wires that nothing reads. Reads of such parts become reads of these.
"""

from hw.verilog.netlist import Netlist, Node
from hw.verilog.simplify import Simplifier
from hw.verilog.values import Chunk, Spec, spec_width


class Aliases:
    """Names for slices of a wire, and for values that are several pieces joined."""

    def __init__(self, netlist: Netlist, simplifier: Simplifier):
        self.netlist = netlist
        self.slices: dict[str, dict[tuple[int, int], str]] = {}
        self.joined: dict[Chunk, list[tuple[str, Spec]]] = {}
        inner = [
            (name, spec) for name, spec in netlist.module.connects if name not in netlist.outputs
        ]
        # Names that stand for themselves are better than those that Amaranth made of a structure's.
        for name, spec in sorted(inner, key=lambda connect: "." in connect[0] or "[" in connect[0]):
            spec = simplifier.resolve(spec)
            if spec and spec_width(spec) == netlist.wires[name].width:
                self._add(name, spec)

    def _add(self, name: str, spec: Spec) -> None:
        base = self.netlist.wires.get(spec[0].wire)
        if len(spec) == 1 and base and spec[0].width < base.width:
            self.slices.setdefault(base.name, {}).setdefault((spec[0].start, spec[0].width), name)
        elif sum(bool(chunk.wire) for chunk in spec) > 1:
            self.joined.setdefault(spec[0], []).append((name, spec))

    def apply(self) -> None:
        """Read parts by their names, where they have one."""
        netlist = self.netlist
        netlist.map_reads(self._rename)
        for name, spec in [
            *((name, spec) for group in self.joined.values() for name, spec in group),
            *(
                (n, (Chunk(b, *part),))
                for b, parts in self.slices.items()
                for part, n in parts.items()
            ),
        ]:
            value = tuple(self._slice(chunk) for chunk in spec) if len(spec) > 1 else spec
            netlist.drivers[name] = Node("=", spec_width(spec), (value,))

    def _rename(self, spec: Spec) -> Spec:
        chunks: list[Chunk] = []
        index = 0
        while index < len(spec):
            match = self._match(spec[index:]) if spec[index] in self.joined else None
            if match:
                name, length = match
                chunks.append(self.netlist.wires[name].whole[0])
                index += length
            else:
                chunks.append(self._slice(spec[index]))
                index += 1
        return tuple(chunks)

    def _match(self, spec: Spec) -> tuple[str, int] | None:
        """The longest joint value that ``spec`` starts with; a part of one could close a loop."""
        matches = [
            (len(pieces), name)
            for name, pieces in self.joined[spec[0]]
            if spec[: len(pieces)] == pieces
        ]
        if not matches:
            return None
        length = max(length for length, _ in matches)
        return next(name for count, name in matches if count == length), length

    def _slice(self, chunk: Chunk) -> Chunk:
        """``chunk`` as (a part of) the smallest named slice that holds it."""
        parts = self.slices.get(chunk.wire)
        if not parts or chunk.width == self.netlist.wires[chunk.wire].width:
            return chunk
        exact = parts.get((chunk.start, chunk.width))
        if exact:
            return Chunk(exact, 0, chunk.width)
        around = [
            (width, start, name)
            for (start, width), name in parts.items()
            if start <= chunk.start and chunk.start + chunk.width <= start + width
        ]
        if not around:
            return chunk
        _, start, name = min(around)
        return Chunk(name, chunk.start - start, chunk.width)
