"""iCEBreaker: an iCE40 UP5K, with a serial port beside its programmer."""

from amaranth_boards.icebreaker import ICEBreakerPlatform

from boards.board import UP5K, Board, Variant
from boards.clocks import ICE40
from boards.command import run
from hw.measure.up5k import up5k

BOARD = Board(
    name="icebreaker",
    title="iCEBreaker",
    variants={"up5k": Variant(part=UP5K, platform=ICEBreakerPlatform, preset="up5k")},
    pll=ICE40,
    clock_hz=24e6,
    baud=3_000_000,
    memories=up5k,
    synthesis="-dsp",
    queue_words=256,  # a word and its mark take three block RAMs, and not five
    flash=("iceprog", "-S", "{file}"),
    store=("iceprog", "{file}"),
)

if __name__ == "__main__":
    run(BOARD)
