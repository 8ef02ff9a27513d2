"""Travel: which step is where in the pipeline."""

from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.nm.act_buffer import ActBuffer
from hw.nm.gather import Gather
from hw.nm.mac import mac_latency
from hw.nm.payloads import step_layout
from hw.nm.strip_buffer import weight_latency
from hw.streams import steady
from spec.nm.config import NmConfig


def stages(config: NmConfig) -> dict[str, int]:
    """Cycles from a step's issue until it stands there."""
    read = Gather.latency
    select = read + weight_latency(config)
    hand_over = select + mac_latency(config)
    return {
        "read": read,
        "distribute": read + ActBuffer.latency,
        "select": select,
        "hand_over": hand_over,
        "drain": hand_over + config.pipeline,
    }


class Travel(wiring.Component):
    """Moves each step on by a stage in every cycle. A reset forgets all steps.

    Attributes
    ----------
    latency : int
        Cycles from ``i`` to the last stage.

    Members
    -------
    i : stream of steps, from the sequencer
    read, distribute, select, hand_over, drain : streams of steps
        The step that stands before the memories, before distribute, before the columns, whose sums
        they are to hand over, and whose sums they do.
    """

    def __init__(self, config: NmConfig):
        self.config = config
        self.latency = stages(config)["drain"]
        step = steady(step_layout(config))
        super().__init__(
            {
                "i": In(step),
                "read": Out(step),
                "distribute": Out(step),
                "select": Out(step),
                "hand_over": Out(step),
                "drain": Out(step),
            }
        )

    def elaborate(self, platform):
        m = Module()
        taps = [(stage, getattr(self, name)) for name, stage in stages(self.config).items()]
        valid, step = self.i.valid, self.i.payload
        for stage in range(1, self.latency + 1):
            # Move on.
            next_valid = Signal(name=f"valid{stage}")
            next_step = Signal(step_layout(self.config), name=f"step{stage}")
            m.d.sync += [next_valid.eq(valid), next_step.eq(step)]
            valid, step = next_valid, next_step

            # Show.
            for at, tap in taps:
                if at == stage:
                    m.d.comb += [tap.valid.eq(valid), tap.payload.eq(step)]
        return m
