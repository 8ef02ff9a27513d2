"""Router: brings items to the streams of the array that they are for, and its answers back."""

from collections.abc import Mapping, Sequence

from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.shell.intake import Takers, item_layout
from hw.shell.outlet import answer_layout
from hw.shell.register_file import probe_layout
from hw.streams import fields_layout
from spec.config import IO_DATA_BITS, Config
from spec.eie import iomap as eie_iomap
from spec.eie.config import EieConfig
from spec.messages import Kind, item_bits, number
from spec.nm import iomap as nm_iomap
from spec.nm.config import NmConfig
from spec.registers.table import BITS, NM


def takers(configs: Sequence[Config]) -> Takers:
    """Bits of every kind of item that these engines take."""
    return {
        (number(config.engine), kind): bits
        for config in configs
        for kind, bits in item_bits(config).items()
    }


def _request_fields(config: Config) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Fields of requests to write, and to read."""
    if isinstance(config, EieConfig):
        return eie_iomap.write_fields(config), eie_iomap.read_fields(config)
    assert isinstance(config, NmConfig)
    return nm_iomap.write_fields(config), nm_iomap.read_fields(config)


def array_signature(config: Config) -> wiring.Signature:
    """What the router has to do with an array: its streams, and whether it runs."""
    write, read = _request_fields(config)
    load = {"load": Out(stream.Signature(config.load_bits))} if isinstance(config, NmConfig) else {}
    return wiring.Signature(
        {
            "write": Out(stream.Signature(fields_layout(write))),
            "read": Out(stream.Signature(fields_layout(read))),
            "data": In(stream.Signature(IO_DATA_BITS)),
            "busy": In(1),
            **load,
        }
    )


class Router(wiring.Component):
    """One read at a time is under way, of a message or of a register.

    A request for a register is taken back, or gives way to a message's, as long as an array has not
    taken it: arrays behind a shell take requests into a queue, to which that is all the same.

    Words of the load stream that come while the array does not run are dropped.

    Members
    -------
    i : stream of items
    o : stream of answers to messages
    eie, nm : an array, if there is one
    probe, probing, probed, counter, refused : the register file's counters, a cycle late; they are
        refused while the array runs, and while a message's read waits or is under way
    pass_number, pe : In
        Whose counters an EIE array shows.
    restart : In
        Forgets a read; the arrays are reset meanwhile.
    """

    def __init__(self, configs: Sequence[Config]):
        self.configs = {config.engine: config for config in configs}
        super().__init__(
            {
                "i": In(stream.Signature(item_layout(takers(configs)))),
                "o": Out(stream.Signature(answer_layout())),
                **{name: Out(array_signature(one)) for name, one in self.configs.items()},
                "probe": In(probe_layout()),
                "probing": In(1),
                "probed": Out(1),
                "counter": Out(IO_DATA_BITS),
                "refused": Out(1),
                "pass_number": In(BITS),
                "pe": In(BITS),
                "restart": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        item = self.i.payload
        # A read under way, whether it is a register's, and its array.
        asked, for_register, engine, last = Signal(), Signal(), Signal(1), Signal()
        wants_read = Signal()
        m.d.comb += wants_read.eq(self.i.valid & (item.kind == Kind.READ))

        busy, there, word = Signal(), Signal(), Signal(IO_DATA_BITS)
        for name in self.configs:
            array, own = getattr(self, name), number(name)
            with m.If(self.probe.engine == own):
                m.d.comb += busy.eq(array.busy)
            with m.If(engine == own):
                m.d.comb += [there.eq(array.data.valid), word.eq(array.data.payload)]
            self._write(m, name)
            self._read(m, name, asked, for_register, engine, last, wants_read)
        if NM in self.configs:
            self._load(m)

        # Answer a message, or a register.
        done = Signal()
        m.d.comb += [
            self.o.valid.eq(asked & there & ~for_register),
            self.o.payload.data.eq(word),
            self.o.payload.last.eq(last),
            self.counter.eq(word),
            done.eq(Mux(for_register, self.probed, self.o.valid & self.o.ready)),
        ]
        # The register file decides in the cycle in which it hears of these, so they are registers.
        # The array's answer stays until then, and is taken: it moves, for nothing is started.
        refuses = self.probing & Mux(asked, ~for_register, busy | wants_read)
        m.d.sync += [
            self.probed.eq(asked & there & for_register & ~self.probed),
            self.refused.eq(refuses & ~self.refused),
        ]
        for name in self.configs:
            m.d.comb += getattr(self, name).data.ready.eq(done & (engine == number(name)))
        with m.If(done | self.restart):
            m.d.sync += asked.eq(0)
        return m

    def _write(self, m: Module, name: str) -> None:
        item, write = self.i.payload, getattr(self, name).write
        with m.If((item.kind == Kind.WRITE) & (item.engine == number(name))):
            m.d.comb += [write.valid.eq(self.i.valid), self.i.ready.eq(write.ready)]
        m.d.comb += write.payload.eq(item.data)

    def _read(
        self,
        m: Module,
        name: str,
        asked: Signal,
        for_register: Signal,
        engine: Signal,
        last: Signal,
        wants_read: Signal,
    ) -> None:
        """Ask this array: for a message, or for a register."""
        item, read, own = self.i.payload, getattr(self, name).read, number(name)
        with m.If(~asked & wants_read & (item.engine == own)):
            m.d.comb += [
                read.valid.eq(1),
                read.payload.eq(item.data),
                self.i.ready.eq(read.ready),
            ]
        with m.Elif(
            ~asked & ~wants_read & self.probing & ~self.refused & (self.probe.engine == own)
        ):
            m.d.comb += [
                read.valid.eq(~getattr(self, name).busy),
                *self._counter_request(name, read.payload),
            ]
        with m.If(read.valid & read.ready):
            m.d.sync += [
                asked.eq(1),
                for_register.eq(~wants_read),
                engine.eq(own),
                last.eq(item.last),
            ]

    def _counter_request(self, name: str, request) -> list:
        """Where an array keeps the counter that is wanted."""
        if name == NM:
            return [
                request.memory.eq(nm_iomap.Memory.COUNTERS),
                request.address.eq(self.probe.index),
            ]
        pe_bits, array_bits = eie_iomap.pe_counter_bits(), eie_iomap.array_counter_bits()
        in_pe, index = self.probe.in_pe, self.probe.index
        return [
            request.memory.eq(Mux(in_pe, eie_iomap.Memory.COUNTERS, eie_iomap.Memory.CONTROL)),
            request.pe.eq(self.pe),
            request.address.eq(
                Mux(in_pe, self.pass_number << pe_bits, self.pass_number << array_bits) | index
            ),
        ]

    def _load(self, m: Module) -> None:
        """The load stream, as long as there is a run."""
        item, array = self.i.payload, self.nm
        with m.If(item.kind == Kind.LOAD):
            m.d.comb += [
                array.load.valid.eq(self.i.valid & array.busy),
                self.i.ready.eq(array.load.ready | ~array.busy),
            ]
        m.d.comb += array.load.payload.eq(item.data)
