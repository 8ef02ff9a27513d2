"""Frames: what is sent comes back, what is broken never does, and the next one is found again."""

import pytest

from spec.frames import (
    CRC_BITS,
    CRC_POLYNOMIAL,
    CRC_START,
    END,
    ESC,
    MOST_BYTES,
    Decoder,
    crc,
    encode,
)

pytestmark = pytest.mark.unit


def remainder(data: bytes) -> int:
    """The CRC bit by bit, by its constants."""
    value = CRC_START
    for byte in data:
        value ^= byte << (CRC_BITS - 8)
        for _ in range(8):
            value <<= 1
            if value >> CRC_BITS:
                value ^= 1 << CRC_BITS | CRC_POLYNOMIAL
    return value


def test_the_crc_is_the_published_one(rng):
    assert crc(b"123456789") == 0x29B1
    for length in (0, 1, 2, 300):
        data = rng.bytes(length)
        assert crc(data) == remainder(data)
        assert crc(data[length // 2 :], crc(data[: length // 2])) == crc(data)


@pytest.mark.parametrize("payload", [b"", b"\x00", bytes([END, ESC, 0xDC, 0xDD] * 20), bytes(900)])
@pytest.mark.parametrize("number", [0, END, ESC, 255])
def test_frames_come_back(number, payload):
    sent = encode(number, 3, payload)
    assert sent[0] == sent[-1] == END
    assert END not in sent[1:-1]
    assert list(Decoder().feed(sent)) == [(number, 3, payload)]
    one_by_one = Decoder()
    found = [frame for byte in sent for frame in one_by_one.feed(bytes([byte]))]
    assert found == [(number, 3, payload)]


@pytest.mark.parametrize("event", ["flip", "drop", "insert"])
def test_a_broken_frame_is_dropped_and_the_next_one_found(rng, event):
    decoder, lost = Decoder(), 0
    for trial in range(300):
        frame = (trial % 256, int(rng.integers(5)), rng.bytes(int(rng.integers(40))))
        sent = bytearray(encode(*frame))
        at = int(rng.integers(len(sent)))
        if event == "flip":
            sent[at] ^= 1 << int(rng.integers(8))
        elif event == "drop":
            del sent[at]
        else:
            sent.insert(at, int(rng.integers(256)))
        good = (7, 1, b"still here")
        found = list(decoder.feed(bytes(sent) + encode(*good)))
        assert found[-1] == good
        assert all(one in (frame, good) for one in found)
        lost += frame not in found
    assert lost > 100
    assert decoder.broken >= lost


def test_what_is_too_long_is_no_frame():
    decoder = Decoder()
    assert list(decoder.feed(bytes(3 * MOST_BYTES))) == []
    assert list(decoder.feed(encode(1, 2, b"x"))) == [(1, 2, b"x")]
    assert decoder.broken == 1


def test_what_is_too_short_is_no_frame():
    decoder = Decoder()
    short = crc(b"\x01").to_bytes(2, "little")
    assert list(decoder.feed(bytes([END, 1]) + short + bytes([END]))) == []
    assert list(decoder.feed(bytes([END, END, END]))) == []
    assert decoder.broken == 1
