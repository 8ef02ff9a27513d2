"""Sessions: what was recorded is played back, call by call, and nothing else is."""

import json

import numpy as np
import pytest

from spec.eie.config import preset
from spec.errors import UserError
from sw.host.port import PortError
from sw.host.shell.link import AccessError, Link
from sw.host.shell.record import RecordingLink, ReplayLink
from sw.host.shell.serial import SerialLink
from tests.sw.host.shell.model import REFUSES_FROM, ModelDevice

pytestmark = pytest.mark.unit

CONFIG = preset("tiny")
WORDS = np.array([1, 0xFFFFFFFF, 0xC0DBDCDD], np.uint32)


def session(link: Link) -> list:
    """Every call once, and what came of it."""
    link.drop()
    link.write32(4, 0xDEADBEEF)
    link.send(WORDS)
    found = [link.read32(4), link.receive(2).tolist()]
    try:
        link.read32(REFUSES_FROM)
    except AccessError as error:
        found.append(str(error))
    link.close()
    return found


def recorded(file) -> list:
    device = ModelDevice()
    device.leaving.extend([7, 0xFFFFFFFE])
    link = SerialLink(device, 1e6, tools={"pyserial": "3.5"})
    return session(RecordingLink(link, file, [CONFIG]))


def test_what_was_recorded_is_played_back(tmp_path):
    found = recorded(tmp_path / "s.jsonl")
    assert found == [0xDEADBEEF, [7, 0xFFFFFFFE], "an access to 0x800 failed"]
    replay = ReplayLink(tmp_path / "s.jsonl")
    assert isinstance(replay, Link)
    assert (replay.tools, replay.digests) == ({"pyserial": "3.5"}, {"eie": CONFIG.digest})
    assert session(replay) == found


def test_the_file_can_be_read(tmp_path):
    recorded(tmp_path / "s.jsonl")
    head, *calls = map(json.loads, (tmp_path / "s.jsonl").read_text().splitlines())
    assert head == {
        "format": "skipstone session",
        "version": 1,
        "digests": {"eie": CONFIG.digest},
        "tools": {"pyserial": "3.5"},
    }
    assert calls == [
        {"call": "drop"},
        {"call": "write32", "address": 4, "word": 0xDEADBEEF},
        {"call": "send", "words": "01000000ffffffffdddcdbc0"},
        {"call": "read32", "address": 4, "answer": 0xDEADBEEF},
        {"call": "receive", "count": 2, "answer": "07000000feffffff"},
        {
            "call": "read32",
            "address": REFUSES_FROM,
            "error": "access",
            "message": "an access to 0x800 failed",
        },
    ]


def test_it_is_written_as_it_happens(tmp_path):
    """What breaks off leaves all calls that were answered."""
    file = tmp_path / "s.jsonl"
    link = RecordingLink(SerialLink(ModelDevice(), 1e6), file)
    link.write32(4, 5)
    link.read32(4)
    file.write_text(file.read_text() + '{"call": "rea')
    replay = ReplayLink(file)
    replay.write32(4, 5)
    assert replay.read32(4) == 5
    with pytest.raises(PortError, match=r"the session ends after line 3, before read32"):
        replay.read32(4)
    link.close()


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda link: link.write32(4, 6), r"write32\(address 4, word 5\) was called then"),
        (lambda link: link.write32(8, 5), r"write32\(address 8, word 5\) is now"),
        (
            lambda link: link.read32(4),
            r"line 2: write32\(address 4\) was .* read32\(address 4\) is",
        ),
        (lambda link: link.send(WORDS), r"send\(words 01000000ffffffffdddcdbc0\) is now"),
        (lambda link: link.send(np.tile(WORDS, 9)), r"send\(words 0100.*\.\.\.\) is now"),
        (lambda link: link.drop(), r"drop\(\) is now"),
    ],
)
def test_another_call_is_refused(tmp_path, call, told):
    link = RecordingLink(SerialLink(ModelDevice(), 1e6), tmp_path / "s.jsonl")
    link.write32(4, 5)
    link.close()
    with pytest.raises(PortError, match=told):
        call(ReplayLink(tmp_path / "s.jsonl"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "its first line must be"),
        (b"{}\n", "its first line must be"),
        (b'{"format": "skipstone session", "version": 2}\n', "its first line must be"),
        (b"hello\n", "line 1 is no JSON object"),
        (b"[]\n", "line 1 is no JSON object"),
        (b"\xff\xff\n", "it is no text"),
    ],
)
def test_what_is_no_session_is_refused(tmp_path, text, told):
    (tmp_path / "s").write_bytes(text)
    with pytest.raises(UserError, match=f"s is no session: {told}"):
        ReplayLink(tmp_path / "s")


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(UserError, match="cannot read the session .*: No such file"):
        ReplayLink(tmp_path / "none")
    with pytest.raises(UserError, match="cannot write the session to .*: No such file"):
        RecordingLink(SerialLink(ModelDevice(), 1e6), tmp_path / "none" / "s")
