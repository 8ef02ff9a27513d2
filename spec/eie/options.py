"""Options by which every command-line tool names a configuration of the EIE engine."""

from spec.eie.config import PRESETS, EieConfig, preset
from spec.settings import Option, Options

OPTIONS: Options[EieConfig] = Options(
    presets=PRESETS,
    preset=preset,
    own=(Option("pes", "pes", "N", "processing elements, 1 to 256 (the preset's)"),),
)

add_options = OPTIONS.add_to
config_from = OPTIONS.config_from
