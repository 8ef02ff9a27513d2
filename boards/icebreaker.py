"""iCEBreaker: an iCE40 UP5K, with a serial port beside its programmer."""

from collections.abc import Mapping, Sequence

from amaranth_boards.icebreaker import ICEBreakerPlatform

from boards.board import UP5K, Board, Variant
from boards.clocks import ICE40
from boards.command import run
from hw.measure.up5k import up5k
from spec.config import Config
from spec.eie.config import EieConfig
from spec.errors import UserError


def _memories(configs: Sequence[Config], files: Mapping[str, str]) -> dict[str, str]:
    """Single-port RAMs for what is deep, if nothing there is read and written in one cycle."""
    for config in configs:
        if not isinstance(config, EieConfig) or config.double_buffer:
            raise UserError(
                "the deep memories of an UP5K have one port: it takes EIE arrays with "
                f"double_buffer=false, {config.title} {config.digest} is none"
            )
    return up5k(files)


BOARD = Board(
    name="icebreaker",
    title="iCEBreaker",
    variants={"up5k": Variant(part=UP5K, platform=ICEBreakerPlatform, preset="up5k")},
    pll=ICE40,
    clock_hz=21e6,  # seven cycles of it are a bit
    baud=3_000_000,
    memories=_memories,
    synthesis="-dsp",
    queue_words=256,  # a word and its mark take three block RAMs, and not five
    flash=("iceprog", "-S", "{file}"),
    store=("iceprog", "{file}"),
)

if __name__ == "__main__":
    run(BOARD)
