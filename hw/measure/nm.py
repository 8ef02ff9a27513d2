"""The N:M array on an ECP5, against the same array for dense matrices only."""

from dataclasses import replace

from hw.measure.compare import Comparison
from hw.measure.datapath import Datapath
from hw.nm.engine import NmArray
from spec.nm.config import NmConfig, preset

FILE = "nm_fit.json"


def dense_only(config: NmConfig) -> NmConfig:
    """The same multipliers, and the same bits of activation buffer, without N:M and gather
    stage."""
    dense = replace(config, n=1, m=1, groups=config.multipliers, gather_lines=0)
    return replace(dense, act_lines=config.act_lines * config.line_inputs // dense.line_inputs)


COLUMNS = preset("ecp5", columns=2)
"""Two columns of the preset's array: for its datapath alone."""

SMALL = preset(
    "ecp5",
    rows=4,
    columns=2,
    weight_steps=256,
    act_lines=256,
    gather_lines=64,
    load_bits=64,
    counter_bits=24,
)
"""The preset's array at a size that is placed and routed in minutes."""

COMPARISONS = {
    "datapath": Comparison(
        f"MAC units and distribute alone, {COLUMNS.rows} × {COLUMNS.columns} units",
        Datapath,
        "nm_datapath",
        {"dense only": dense_only(COLUMNS), "N:M": COLUMNS},
    ),
    "array": Comparison(
        f"whole array, {SMALL.rows} × {SMALL.columns} units, small buffers",
        NmArray,
        "nm_array",
        {"dense only": dense_only(SMALL), "N:M": replace(SMALL, gather_lines=0)},
        area_only={"N:M with gather": SMALL},
    ),
}
