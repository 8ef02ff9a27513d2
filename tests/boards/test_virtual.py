"""Virtual boards: the board's own design, from pin to pin, has the golden model's bits and
counters, and refuses what is not for it."""

import json

import numpy as np
import pytest

from boards import command, icebreaker, run, ulx3s, virtual
from boards.device import open_device
from spec import image
from spec.eie.config import preset
from spec.errors import UserError
from spec.mixed import Mixed
from spec.nm.config import preset as nm_preset
from sw.host.shell.serial import open_serial
from tests.programs import random_case, random_program
from tests.spec.mixes import random_mix
from tests.spec.nm.cases import random_case as random_nm_case

pytestmark = pytest.mark.board

EIE = preset("tiny")
NM = nm_preset("tiny")
WIDE = preset("tiny", double_buffer=False)


@pytest.fixture
def eie_file(rng, tmp_path):
    image.write(random_case(rng, EIE, images=1, largest=16).program, tmp_path / "eie.skip")
    return str(tmp_path / "eie.skip")


@pytest.fixture
def nm_file(rng, tmp_path):
    image.write(random_nm_case(rng, NM, most=16).program, tmp_path / "nm.skip")
    return str(tmp_path / "nm.skip")


def run_virtual(arguments, capsys, board=ulx3s.BOARD):
    code = command.main(board, ["run", *arguments, "--virtual", "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_eie_on_a_virtual_board(eie_file, capsys, tmp_path):
    record = tmp_path / "session.jsonl"
    code, report = run_virtual([eie_file, "--record", str(record)], capsys)
    assert code == 0
    assert report["device"] == "ulx3s, virtual"
    assert report["images"] == run.IMAGES
    assert report["compare"]["equal"]
    assert EIE.digest in record.read_text()

    # What was recorded is a device, too.
    code = command.main(ulx3s.BOARD, ["run", eie_file, "--replay", str(record), "--json"])
    again = json.loads(capsys.readouterr().out)
    assert code == 0
    assert again["outputs"] == report["outputs"]
    assert again["cycles"] == report["cycles"]


def test_nm_on_a_virtual_board(nm_file, capsys):
    code, report = run_virtual([nm_file, "--limit", "2"], capsys)
    assert code == 0
    assert report["images"] == 2
    assert report["compare"]["equal"]


def test_an_icebreaker_with_its_preset(rng, tmp_path, capsys):
    """Lines and activations are in single-port RAMs, and have other neighbours than elsewhere."""
    program = random_program(rng, preset("up5k"), [784, 40, 30], density=0.08)
    image.write(program, tmp_path / "net.skip")
    code, report = run_virtual([str(tmp_path / "net.skip")], capsys, icebreaker.BOARD)
    assert code == 0
    assert report["device"] == "icebreaker, virtual"
    assert report["compare"]["equal"]


def test_both_engines_in_one_board(rng, tmp_path, capsys):
    program = random_mix(rng, "nm eie").program
    assert isinstance(program, Mixed)
    image.write(program, tmp_path / "both.skip")
    code, report = run_virtual([str(tmp_path / "both.skip")], capsys)
    assert code == 0
    assert report["compare"]["equal"]


def test_a_difference_is_found(eie_file, capsys, monkeypatch):
    """The model is asked about other inputs than the board."""
    held = run.run_on
    monkeypatch.setattr(
        run,
        "run_on",
        lambda device, program, batch, *rest: held(
            device, program, batch if device.name != "golden" else np.roll(batch, 1, axis=0), *rest
        ),
    )
    code, report = run_virtual([eie_file, "--seed", "3"], capsys)
    assert code == 1
    assert report["compare"]["difference"]


def test_an_image_for_another_configuration_is_refused(rng, eie_file):
    other = preset("tiny", rows=4)
    program = random_case(rng, other, images=1, largest=8).program
    with virtual.start(ulx3s.BOARD, "85F", [EIE]) as port:
        link = open_serial(port.path, port.baud)
        with pytest.raises(UserError, match=f"{EIE.digest}, expected is {other.digest}"):
            open_device(link, program, "board")
        link.close()


def test_a_design_without_room_is_refused_before_it_is_simulated(rng, tmp_path):
    image.write(random_case(rng, WIDE, images=1, largest=8).program, tmp_path / "wide.skip")
    with pytest.raises(UserError, match="block RAMs, iCE40UP5K has 30"):
        command.main(icebreaker.BOARD, ["run", str(tmp_path / "wide.skip"), "--virtual"])
