"""The FuseSoC core file (CAPI2) beside emitted Verilog."""

from collections.abc import Iterable

from hw.engines import Unit
from spec.config import Config

_CORE = """\
CAPI=2:
name: skipstone:{engine}:{name}:{version}
description: Skipstone {title}, configuration {digest}

filesets:
  rtl:
    files:
{files}
    file_type: verilogSource

targets:
  default: &default
    filesets: [rtl]
    toplevel: {top}

  lint:
    <<: *default
    flow: lint
    flow_options:
      tool: verilator
      verilator_options: [-Wall]
"""


def core_file(name: str, version: str, config: Config, unit: Unit, files: Iterable[str]) -> str:
    """Core file of the design ``name``, whose Verilog ``files`` lie beside it."""
    return _CORE.format(
        engine=config.engine,
        name=name,
        version=version,
        title=unit.title,
        digest=config.digest,
        top=unit.top,
        files="\n".join(f"      - {file}" for file in files),
    )
