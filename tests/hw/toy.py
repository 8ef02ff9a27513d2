"""A toy machine for the tests of emission: every construct that the engines use, and little else.

``ToyArray(units)`` broadcasts a stream of words to its units; each keeps what it hears in a queue,
adds it to an accumulator in a memory, and answers reads.
"""

from amaranth import Array, Cat, Module, Mux, Signal, signed
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.emit import Placed
from hw.memory import Ram
from hw.platform import Hold

Word = data.StructLayout({"value": signed(8), "address": 5})


class ToyAdder(wiring.Component):
    """Two submodules deep, so that names inside a unit are joined; shared by name, not placed."""

    a: In(signed(8))
    b: In(signed(16))
    o: Out(signed(16))

    def elaborate(self, platform):
        m = Module()
        total = Signal(signed(17))
        m.d.comb += total.eq(self.a + self.b)
        with m.If(total > 32767):
            m.d.comb += self.o.eq(32767)
        with m.Elif(total < -32768):
            m.d.comb += self.o.eq(-32768)
        with m.Else():
            m.d.comb += self.o.eq(total)
        return m


class ToyUnit(wiring.Component):
    """Queue, read, add, write back: one word in four cycles."""

    latency = 4

    def __init__(self, words: int = 32):
        self.words = words
        super().__init__(
            {
                "heard": In(stream.Signature(Word)),
                "bus": Out(
                    wiring.Signature({"ask": In(1), "address": In(5), "answer": Out(signed(16))})
                ),
                "taps": Out(3).array(2),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=13, depth=4)
        m.submodules.adder = adder = ToyAdder()
        m.submodules.sums = sums = Placed(Ram(16, self.words), f"toy_ram_{self.words}x16")
        m.d.comb += [
            queue.w_data.eq(self.heard.payload),
            queue.w_en.eq(self.heard.valid),
            self.heard.ready.eq(queue.w_rdy),
            adder.b.eq(sums.read_data),
            sums.write_data.eq(adder.o),
            self.bus.answer.eq(sums.read_data),
        ]
        word = Signal(Word)
        ones = Array(Signal(3, name=f"ones_{index}") for index in range(2))
        m.d.comb += Cat(self.taps[0], self.taps[1]).eq(Cat(*ones))
        with m.FSM(name="step"):
            with m.State("wait"):
                m.d.comb += [
                    sums.read_enable.eq(self.bus.ask | queue.r_rdy),
                    sums.read_address.eq(Mux(self.bus.ask, self.bus.address, word.address)),
                ]
                with m.If(queue.r_rdy & ~self.bus.ask):
                    m.d.comb += queue.r_en.eq(1)
                    m.d.sync += word.eq(queue.r_data)
                    m.next = "read"
            with m.State("read"):
                m.d.comb += [sums.read_enable.eq(1), sums.read_address.eq(word.address)]
                m.next = "add"
            with m.State("add"):
                m.d.comb += [
                    adder.a.eq(word.value),
                    sums.write_enable.eq(1),
                    sums.write_address.eq(word.address),
                ]
                m.d.sync += ones[word.address[0]].eq(ones[word.address[0]] + 1)
                m.next = "wait"
        return m


class ToyArray(wiring.Component):
    """Broadcast, and a tree that ors the answers together."""

    latency = 5

    def __init__(self, units: int = 4, words: int = 32):
        self.units = units
        self.words = words
        super().__init__(
            {
                "heard": In(stream.Signature(Word)),
                "ask": In(1),
                "address": In(5),
                "sum": Out(signed(16)),
                "full": Out(1),
                "taps": Out(3).array(2),
            }
        )

    def elaborate(self, platform):
        m = Module()
        units = [Placed(ToyUnit(self.words), "toy_unit") for _ in range(self.units)]
        answers, waiting, taps = [], [], [[], []]
        ready = Signal()
        for index, unit in enumerate(units):
            m.submodules[f"unit_{index}"] = unit
            m.d.comb += [
                unit.heard.payload.eq(self.heard.payload),
                unit.heard.valid.eq(self.heard.valid & ready),
                unit.bus.ask.eq(self.ask),
                unit.bus.address.eq(self.address),
            ]
            answers.append(unit.bus.answer)
            waiting.append(~unit.heard.ready)
            taps[0].append(unit.taps[0])
            taps[1].append(unit.taps[1])
        m.d.comb += [
            ready.eq(Cat(*waiting) == 0),
            self.heard.ready.eq(ready),
            self.full.eq(~ready),
            self.sum.eq(_xor(answers)),
            self.taps[0].eq(_xor(taps[0])),
            self.taps[1].eq(_xor(taps[1])),
        ]
        return m


def _xor(values):
    total = values[0]
    for value in values[1:]:
        total = total ^ value
    return total


class ToyHeld(wiring.Component):
    """An array that stands still and begins anew when it is told to."""

    def __init__(self):
        self._array = ToyArray(2)
        super().__init__(dict(self._array.signature.members) | {"moves": In(1), "anew": In(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.array = array = Placed(self._array, "toy_array", Hold(self.anew, self.moves))
        connect(m, flipped(self.heard), array.heard)
        m.d.comb += [
            array.ask.eq(self.ask),
            array.address.eq(self.address),
            self.sum.eq(array.sum),
            self.full.eq(array.full),
            *(mine.eq(its) for mine, its in zip(self.taps, array.taps, strict=True)),
        ]
        return m
