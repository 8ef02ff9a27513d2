"""The FuseSoC core file (CAPI2) beside emitted Verilog."""

from collections.abc import Iterable

_CORE = """\
CAPI=2:
name: skipstone:eie:{name}:{version}
description: Skipstone EIE array, configuration {digest}

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


def core_file(name: str, version: str, digest: str, top: str, files: Iterable[str]) -> str:
    """Core file of the design ``name``, whose Verilog ``files`` lie beside it."""
    listed = "\n".join(f"      - {file}" for file in files)
    return _CORE.format(name=name, version=version, digest=digest, top=top, files=listed)
