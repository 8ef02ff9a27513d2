"""Options by which every command-line tool names a configuration of the N:M engine."""

from spec.nm.config import PRESETS, NmConfig, preset
from spec.settings import Option, Options

OPTIONS: Options[NmConfig] = Options(
    presets=PRESETS,
    preset=preset,
    own=(
        Option("rows", "rows", "R", "outputs computed at once, a power of two (the preset's)"),
        Option("cols", "columns", "C", "tokens computed at once, a power of two (the preset's)"),
    ),
)

add_options = OPTIONS.add_to
config_from = OPTIONS.config_from
