"""Clocks: a PLL of each family, from the board's oscillator to the clock of the design."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from amaranth import Instance, Signal, Value

from spec.errors import UserError

MOST_ERROR = 1e-6
"""By which a PLL may miss the clock that was asked for, relative."""


@dataclass(frozen=True)
class Settings:
    """Dividers of a PLL, ``clock = reference / before * times / behind``.

    Attributes
    ----------
    before, times, behind : int
        Divides the reference; multiplies it, up to the oscillator; divides that.
    """

    before: int
    times: int
    behind: int

    def hz(self, reference: float) -> float:
        """The clock."""
        return reference / self.before * self.times / self.behind


@dataclass(frozen=True)
class Pll:
    """A family's PLL.

    Attributes
    ----------
    before, times, behind : range or tuple
        What :class:`Settings` may be.
    phase_hz, oscillator_hz : tuple of float
        Lowest and highest frequency at the phase detector, and of the oscillator.
    instances : callable
        The primitives: from settings, the reference's frequency and itself (a pad or a signal), the
        clock, and a signal that says whether it is there.
    takes_pad : bool
        The reference is the pad itself, without a buffer.
    """

    before: Any
    times: Any
    behind: Any
    phase_hz: tuple[float, float]
    oscillator_hz: tuple[float, float]
    instances: Callable[[Settings, float, Any, Value, Signal], list[Instance]]
    takes_pad: bool = False

    def settings(self, reference: float, clock: float) -> Settings:
        """Settings for a clock; those with the fastest phase detector, which jitters least.

        Raises
        ------
        UserError
            There are none; with the clocks next to it that there are.
        """
        if not 0 < clock < math.inf:
            raise UserError(f"a clock of {clock / 1e6:g} MHz: it must be more than 0")
        found = list(self._possible(reference))
        exact = [one for one in found if abs(one.hz(reference) / clock - 1) < MOST_ERROR]
        if exact:
            return exact[0]
        clocks = {one.hz(reference) for one in found}
        below = max((hz for hz in clocks if hz < clock), default=None)
        above = min((hz for hz in clocks if hz > clock), default=None)
        near = " and ".join(f"{hz / 1e6:.4g}" for hz in (below, above) if hz is not None)
        raise UserError(
            f"a clock of {clock / 1e6:g} MHz cannot be made from {reference / 1e6:g} MHz; "
            f"next to it are {near} MHz"
        )

    def _possible(self, reference: float) -> Iterator[Settings]:
        for before in self.before:
            if not self.phase_hz[0] <= reference / before <= self.phase_hz[1]:
                continue
            for times, behind in product(self.times, self.behind):
                oscillator = reference / before * times
                if self.oscillator_hz[0] <= oscillator <= self.oscillator_hz[1]:
                    yield Settings(before, times, behind)


def _ecp5(
    one: Settings, hz: float, reference: Value, clock: Value, locked: Signal
) -> list[Instance]:
    """The clock itself is fed back, so ``times`` is what its own divider leaves to do."""
    half = one.behind // 2
    pll = Instance(
        "EHXPLLL",
        a_FREQUENCY_PIN_CLKI=f"{hz / 1e6:g}",
        a_FREQUENCY_PIN_CLKOP=f"{one.hz(hz) / 1e6:g}",
        a_ICP_CURRENT="12",
        a_LPF_RESISTOR="8",
        p_CLKI_DIV=one.before,
        p_CLKFB_DIV=one.times // one.behind,
        p_CLKOP_DIV=one.behind,
        p_CLKOP_ENABLE="ENABLED",
        p_CLKOP_CPHASE=max(half - 1, 0),
        p_CLKOP_FPHASE=0,
        p_FEEDBK_PATH="CLKOP",
        p_OUTDIVIDER_MUXA="DIVA",
        p_PLLRST_ENA="DISABLED",
        p_INTFB_WAKE="DISABLED",
        p_STDBY_ENABLE="DISABLED",
        p_DPHASE_SOURCE="DISABLED",
        i_RST=0,
        i_STDBY=0,
        i_CLKI=reference,
        i_CLKFB=clock,
        i_PHASESEL0=0,
        i_PHASESEL1=0,
        i_PHASEDIR=1,
        i_PHASESTEP=1,
        i_PHASELOADREG=1,
        i_PLLWAKESYNC=0,
        i_ENCLKOP=0,
        o_CLKOP=clock,
        o_LOCK=locked,
    )
    return [pll]


class _Ecp5(Pll):
    def _possible(self, reference: float) -> Iterator[Settings]:
        """Those whose multiplier is the clock's divider times a whole number up to 80."""
        for one in super()._possible(reference):
            if one.times % one.behind == 0 and one.times // one.behind <= 80:
                yield one


ECP5 = _Ecp5(
    before=range(1, 6),
    times=range(2, 320),
    behind=range(2, 129),
    phase_hz=(5e6, 400e6),
    oscillator_hz=(400e6, 800e6),
    instances=_ecp5,
)
"""ECP5 and ECP5-5G family data sheet, sysCLOCK PLL timing."""

_FILTERS = ((17e6, 1), (26e6, 2), (44e6, 3), (66e6, 4), (101e6, 5), (133e6, 6))
"""Highest frequency at the phase detector, and the setting of its filter."""


def _ice40(one: Settings, hz: float, pad: Any, clock: Value, locked: Signal) -> list[Instance]:
    phase = hz / one.before
    pll = Instance(
        "SB_PLL40_PAD",
        p_FEEDBACK_PATH="SIMPLE",
        p_PLLOUT_SELECT="GENCLK",
        p_DIVR=one.before - 1,
        p_DIVF=one.times - 1,
        p_DIVQ=one.behind.bit_length() - 1,
        p_FILTER_RANGE=next(setting for most, setting in _FILTERS if phase <= most),
        i_PACKAGEPIN=pad,
        i_RESETB=1,
        i_BYPASS=0,
        o_PLLOUTGLOBAL=clock,
        o_LOCK=locked,
    )
    return [pll]


ICE40 = Pll(
    before=range(1, 17),
    times=range(1, 129),
    behind=(2, 4, 8, 16, 32, 64),
    phase_hz=(10e6, 133e6),
    oscillator_hz=(533e6, 1066e6),
    instances=_ice40,
    takes_pad=True,
)
"""iCE40 sysCLOCK PLL design and usage guide; the pad of the UP5K's bank."""


def _xilinx7(
    one: Settings, hz: float, reference: Value, clock: Value, locked: Signal
) -> list[Instance]:
    made, around = Signal(), Signal()
    pll = Instance(
        "PLLE2_BASE",
        p_CLKIN1_PERIOD=1e9 / hz,
        p_DIVCLK_DIVIDE=one.before,
        p_CLKFBOUT_MULT=one.times,
        p_CLKOUT0_DIVIDE=one.behind,
        i_CLKIN1=reference,
        i_RST=0,
        i_PWRDWN=0,
        i_CLKFBIN=around,
        o_CLKFBOUT=around,
        o_CLKOUT0=made,
        o_LOCKED=locked,
    )
    return [pll, Instance("BUFG", i_I=made, o_O=clock)]


XILINX7 = Pll(
    before=range(1, 6),
    times=range(2, 65),
    behind=range(1, 129),
    phase_hz=(19e6, 450e6),
    oscillator_hz=(800e6, 1600e6),
    instances=_xilinx7,
)
"""7 series FPGAs data sheet, PLL switching characteristics, speed grade 1."""
