"""Control: the descriptor, the beginning and the end of a run, errors."""

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.nm.payloads import settings_layout
from spec.config import IO_DATA_BITS
from spec.nm.config import NmConfig
from spec.nm.descriptor import descriptor_words
from spec.nm.iomap import ERROR_BITS, Error, address_bits


class Control(wiring.Component):
    """Runs the layer of the descriptor, once per start.

    States: ``host``, in which the host reads and writes, ``look`` at the descriptor (one cycle) and
    ``run``.

    Members
    -------
    start : In
    busy, error : Out
        As the array's.
    write_enable, write_address, write_data : In
        A word of the descriptor; only while not busy.
    settings : Out
        The descriptor. It may say anything until it has been looked at.
    launch : Out
        A start is accepted in this cycle.
    look, run : Out
        The state.
    ended : In
        The last result leaves.
    strip_error : In
        A strip that fits no bank.
    """

    def __init__(self, config: NmConfig):
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "busy": Out(1),
                "error": Out(ERROR_BITS),
                "write_enable": In(1),
                "write_address": In(address_bits(config)),
                "write_data": In(IO_DATA_BITS),
                "settings": Out(settings_layout(config)),
                "launch": Out(1),
                "look": Out(1),
                "run": Out(1),
                "ended": In(1),
                "strip_error": In(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        impossible = self._keep_descriptor(m)
        fails = Signal(ERROR_BITS)
        m.d.comb += self.busy.eq(self.look | self.run)

        # Run from a start to the last result, or to an error.
        with m.FSM(init="host"):
            with m.State("host"):
                m.d.comb += self.launch.eq(self.start)
                with m.If(self.start):
                    m.next = "look"

            with m.State("look"):
                m.d.comb += self.look.eq(1)
                with m.If(impossible):
                    m.d.comb += fails.eq(Error.DESCRIPTOR)
                    m.next = "host"
                with m.Else():
                    m.next = "run"

            with m.State("run"):
                m.d.comb += self.run.eq(1)
                with m.If(self.strip_error):
                    m.d.comb += fails.eq(Error.STRIP)
                with m.If(self.strip_error | self.ended):
                    m.next = "host"

        # Keep the first error since the last start; that of the run itself outdoes ``BUSY``.
        with m.If(self.launch):
            m.d.sync += self.error.eq(Error.NONE)
        with m.Elif(fails != Error.NONE):
            m.d.sync += self.error.eq(fails)
        with m.Elif(self.start & (self.error == Error.NONE)):
            m.d.sync += self.error.eq(Error.BUSY)
        return m

    def _keep_descriptor(self, m: Module):
        """Take the host's words; whether no array like this could run them."""
        config, settings = self.config, self.settings
        for number in range(descriptor_words(config)):
            part = settings.as_value()[number * IO_DATA_BITS :][:IO_DATA_BITS]
            with m.If(self.write_enable & (self.write_address == number)):
                m.d.sync += part.eq(self.write_data)
        names = ("strips", "input_lines", "tiles", "block_tiles", "parts")
        return Cat(
            settings.mode >= len(config.modes),
            settings.gather & (config.gather_lines == 0),
            *(settings[name] == 0 for name in names),
            (settings.parts != 1) & (settings.block_tiles != 1),
        ).any()
