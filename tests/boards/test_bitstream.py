"""A bitstream from scratch: it meets its clock, and its manifest says what it is."""

import hashlib

import pytest

from boards import ulx3s
from boards.build import build, check_bitstream, read_manifest
from hw.manifest import FILE
from spec.eie.config import preset
from spec.errors import UserError

pytestmark = pytest.mark.board

CONFIG = preset("fpga6", pes=2)
CLOCK_HZ = 40e6


def test_a_small_array(tmp_path):
    facts = build(
        ulx3s.BOARD, "25F", [CONFIG], clock_hz=CLOCK_HZ, baud=1_000_000, folder=tmp_path / "two"
    )
    assert facts["fmax_mhz"] >= 40
    assert facts["engines"]["eie"]["digest"] == CONFIG.digest
    assert facts["used"]["MULT18X18D"][0] == CONFIG.pes
    bitstream = tmp_path / "two" / facts["bitstream"]
    assert hashlib.sha256(bitstream.read_bytes()).hexdigest() == facts["sha256"]
    assert read_manifest(tmp_path / "two") == facts
    check_bitstream(facts, tmp_path / "two", ulx3s.BOARD, "25F")

    # What is refused leaves what is there.
    with pytest.raises(UserError, match="61.3 MHz cannot be made"):
        build(ulx3s.BOARD, "25F", [CONFIG], clock_hz=61.3e6, baud=9600, folder=tmp_path / "two")
    assert (tmp_path / "two" / FILE).exists()
