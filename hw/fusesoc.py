"""The FuseSoC core file (CAPI2) beside emitted Verilog."""

from collections.abc import Iterable

from hw.designs import Design

_CORE = """\
CAPI=2:
name: skipstone:{library}:{name}:{version}
description: Skipstone {title}, configuration {digests}

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


def core_file(design: Design, version: str, files: Iterable[str]) -> str:
    """Core file of a design whose Verilog ``files`` lie beside it."""
    return _CORE.format(
        library=design.library,
        name=design.name,
        version=version,
        title=design.title,
        digests=design.digests,
        top=design.top,
        files="\n".join(f"      - {file}" for file in files),
    )
