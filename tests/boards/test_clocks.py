"""PLLs: the settings of every board are what its data sheet allows, and give the clock exactly."""

import pytest

from boards import arty, icebreaker, orangecrab, ulx3s
from boards.clocks import ECP5, ICE40, XILINX7, Pll, Settings
from spec.errors import UserError

pytestmark = pytest.mark.unit

BOARDS = [arty.BOARD, icebreaker.BOARD, orangecrab.BOARD, ulx3s.BOARD]


def is_allowed(pll: Pll, one: Settings, reference: float) -> bool:
    phase = reference / one.before
    oscillator = phase * one.times
    return (
        one.before in pll.before
        and one.times in pll.times
        and one.behind in pll.behind
        and pll.phase_hz[0] <= phase <= pll.phase_hz[1]
        and pll.oscillator_hz[0] <= oscillator <= pll.oscillator_hz[1]
    )


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_board_has_its_clock(board):
    for variant in board.variants.values():
        reference = variant.platform().default_clk_constraint.frequency
        one = board.pll.settings(reference, board.clock_hz)
        assert is_allowed(board.pll, one, reference)
        assert one.hz(reference) == pytest.approx(board.clock_hz, rel=1e-9)


@pytest.mark.parametrize(
    ("pll", "reference", "clock", "settings"),
    [
        # As ecppll, icepll and Vivado's clocking wizard have them.
        (ICE40, 12e6, 24e6, Settings(1, 64, 32)),
        (ICE40, 12e6, 48e6, Settings(1, 64, 16)),
        (XILINX7, 100e6, 100e6, Settings(1, 8, 8)),
    ],
)
def test_known_settings(pll, reference, clock, settings):
    assert pll.settings(reference, clock) == settings


@pytest.mark.parametrize("mhz", [50, 60, 75, 80, 100, 125])
def test_an_ecp5_feeds_its_own_clock_back(mhz):
    one = ECP5.settings(25e6, mhz * 1e6)
    assert is_allowed(ECP5, one, 25e6)
    assert one.times % one.behind == 0
    assert 25 / one.before * (one.times // one.behind) == mhz


def test_a_clock_that_cannot_be_made_is_refused_with_those_next_to_it():
    with pytest.raises(UserError, match="24.1 MHz cannot be made from 12 MHz; next to it are 24 "):
        ICE40.settings(12e6, 24.1e6)
    with pytest.raises(UserError, match="next to it are 528 MHz"):
        ICE40.settings(12e6, 900e6)
