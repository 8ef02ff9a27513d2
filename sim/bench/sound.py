"""A voice as the Resemblyzer network hears it: its mel spectrogram, from numpy alone.

Resemblyzer calls librosa with its defaults: frames centred on their time, zeros beyond both ends, a
periodic Hann window, powers (not their logarithms), and Slaney's mel filters ("Auditory Toolbox",
1998): linear in frequency up to 1 kHz and logarithmic above, every filter of the same area.
"""

import wave
from pathlib import Path

import numpy as np

from spec.errors import UserError

RATE = 16_000  # samples per second
WINDOW = 400  # samples: 25 ms
STEP = 160  # samples: 10 ms
CHANNELS = 40
LOUDNESS = 10 ** (-30 / 20)  # root mean square of a voice at -30 dB of full scale

# The mel scale: below the break 3 mel are 200 Hz, above it 27 mel are a factor of 6.4.
MEL_PER_HZ = 3 / 200
BREAK_HZ = 1000.0
BREAK_MEL = BREAK_HZ * MEL_PER_HZ
MEL_PER_E = 27 / np.log(6.4)


def read(file: Path, start: float, seconds: float) -> np.ndarray:
    """Cut a piece out of a recording. float64, -1...1.

    Parameters
    ----------
    file : Path
        A wave file: 16 kHz, one channel, 16 bits.
    start, seconds : float
        Where the piece begins and how long it is; it must lie within the recording.
    """
    with wave.open(str(file)) as recording:
        form = recording.getframerate(), recording.getnchannels(), 8 * recording.getsampwidth()
        if form != (RATE, 1, 16):
            raise UserError(
                f"{file.name}: {form[0]} Hz, {form[1]} channels, {form[2]} bits; "
                f"allowed is {RATE} Hz, 1 channel, 16 bits"
            )
        first, count = round(start * RATE), round(seconds * RATE)
        if first < 0 or first + count > recording.getnframes():
            raise UserError(
                f"{file.name}: samples {first}...{first + count} were asked for, "
                f"it has {recording.getnframes()}"
            )
        recording.setpos(first)
        return np.frombuffer(recording.readframes(count), "<i2") / 2**15


def normalize(samples: np.ndarray) -> np.ndarray:
    """Raise a voice that is too quiet to -30 dB of full scale; a louder one stays."""
    loudness = np.sqrt(np.mean(samples**2))
    return samples * max(1.0, LOUDNESS / loudness) if loudness else samples


def mel_spectrogram(samples: np.ndarray) -> np.ndarray:
    """Power in each mel channel, every 10 ms.

    Returns
    -------
    float32, shape (1 + samples // 160, 40)
    """
    padded = np.pad(samples, WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::STEP]
    window = np.hanning(WINDOW + 1)[:-1]  # periodic: numpy's own is symmetric
    powers = np.abs(np.fft.rfft(frames * window)) ** 2
    return (powers @ mel_filters().T).astype(np.float32)


def mel_filters() -> np.ndarray:
    """Triangles that overlap by half, equally wide in mel, of area 1 Hz each.

    Returns
    -------
    float64, shape (40, 201)
        What each channel takes of each bin of the Fourier transform.
    """
    corners = mel_to_hz(np.linspace(0, hz_to_mel(np.array(RATE / 2)), CHANNELS + 2))
    low, centre, high = (corners[i : i + CHANNELS, None] for i in range(3))
    bins = np.fft.rfftfreq(WINDOW, 1 / RATE)
    triangles = np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    return np.maximum(triangles, 0) * 2 / (high - low)


def hz_to_mel(hz: np.ndarray) -> np.ndarray:
    """Slaney's scale, elementwise."""
    above = BREAK_MEL + MEL_PER_E * np.log(np.maximum(hz, BREAK_HZ) / BREAK_HZ)
    return np.where(hz < BREAK_HZ, hz * MEL_PER_HZ, above)


def mel_to_hz(mel: np.ndarray) -> np.ndarray:
    """The inverse of :func:`hz_to_mel`."""
    above = BREAK_HZ * np.exp((mel - BREAK_MEL) / MEL_PER_E)
    return np.where(mel < BREAK_MEL, mel / MEL_PER_HZ, above)
