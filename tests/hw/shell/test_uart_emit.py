"""The shell behind a UART as Verilog: emitted for every engine, and clean."""

import gc

import pytest

from hw.emit import emission
from hw.shell.uart import UartReceiver, phase_step
from hw.shell.uart_shell import uart_shell
from spec.eie.config import preset as eie_preset
from spec.errors import UserError
from spec.nm.config import preset as nm_preset
from tests.hw.tools import lint, write_files

pytestmark = pytest.mark.verilator

SHELLS = {
    "eie": [eie_preset("tiny")],
    "nm": [nm_preset("tiny")],
    "both": [eie_preset("tiny"), nm_preset("tiny")],
}


@pytest.mark.parametrize("engines", SHELLS)
def test_it_is_clean_verilog(tmp_path, engines):
    emitted = emission(uart_shell(SHELLS[engines], 25e6, 3e6), "skipstone_uart")
    ports = {name: (port.direction, port.width) for name, port in emitted.ports.items()}
    assert ports == {
        "clk": ("input", 1),
        "rst": ("input", 1),
        "rx": ("input", 1),
        "tx": ("output", 1),
        "busy": ("output", 1),
        "error": ("output", 1),
    }
    write_files(emitted.files, tmp_path)
    assert lint(tmp_path, "skipstone_uart") == ""


def test_a_clock_that_is_too_slow_is_refused():
    """Before there is a component, for Amaranth warns of one that nobody elaborates."""
    emission(UartReceiver(phase_step(25e6, 3e6)), "receiver")  # before the first it is silent
    with pytest.raises(UserError, match="a UART of 3e.06 baud was asked for"):
        uart_shell(SHELLS["nm"], 8e6, 3e6)
    gc.collect()
