"""Distribute: gives every multiplier of a column the activations that it may pick from."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.nm.payloads import column_layout, settings_layout, windows_layout
from spec.config import bits_for
from spec.nm.config import NmConfig


def distribute_latency(config: NmConfig) -> int:
    """Cycles from a line to the windows."""
    return 1 + config.pipeline


class Distribute(wiring.Component):
    """Cuts a step's inputs out of a line, and lays a window of them before each multiplier.

    Which inputs depends on the mode and on where in the line the step begins. Everything that
    depends on modes is here, once per column: MAC units know of none. Beyond the group of its mode,
    a window holds whatever is there. With ``pipeline`` a line, which comes out of memories, goes
    into a register of the column first, and so does the mode.

    Attributes
    ----------
    latency : int
        :func:`distribute_latency`.

    Members
    -------
    line : In
        Of this column.
    at : In
        The step's first input, in the line; a multiple of the mode's inputs of a step.
    settings : In
        Of the run, a cycle before its first step at least.
    o : Out
    """

    def __init__(self, config: NmConfig):
        self.config = config
        self.latency = distribute_latency(config)
        super().__init__(
            {
                "line": In(column_layout(config)),
                "at": In(bits_for(config.line_inputs - 1)),
                "settings": In(settings_layout(config)),
                "o": Out(windows_layout(config)),
            }
        )

    def elaborate(self, platform):
        config = self.config
        m = Module()
        cuts = self._cut(m)
        windows = Signal(windows_layout(config))
        running = self.settings.mode
        if config.pipeline:
            running = Signal.like(self.settings.mode)
            m.d.sync += running.eq(self.settings.mode)

        # Lay out windows. A mode of narrow groups leaves the rest of a window to the others.
        for k in range(config.multipliers):
            for place in range(config.m):
                wide = [mode for mode in config.modes if mode.m > place]
                with m.Switch(running):
                    for mode in wide:
                        act = cuts[config.step_inputs(mode)][k // mode.n * mode.m + place]
                        with m.Default() if mode is wide[-1] else m.Case(config.mode_number(mode)):
                            m.d.comb += windows[k][place].eq(act)
        m.d.sync += self.o.eq(windows)
        return m

    def _cut(self, m: Module) -> dict[int, list]:
        """Inputs of a step, by their number: the halves of a line, of a half, and so on."""
        line, at = self.line, self.at
        if self.config.pipeline:
            line, at = Signal.like(line, reset_less=True), Signal.like(at, reset_less=True)
            m.d.sync += [line.eq(self.line), at.eq(self.at)]
        part = [Cat(line[k]) for k in range(self.config.line_inputs)]
        cuts = {len(part): part}
        while len(part) > self.config.multipliers:
            half = len(part) // 2
            upper = at[half.bit_length() - 1]
            part = [Mux(upper, part[k + half], part[k]) for k in range(half)]
            cuts[half] = part
        return cuts
