"""Recordings as how loud each band of their spectrum is, and how that changes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from headstart.data.isolation import open_audio
from headstart.evaluation.simple.contract import Descriptor
from headstart.preprocess.contract import Preprocess
from headstart.types import Example

RATE = 16_000
SECONDS = 30  # as much as the audio encoders here read
WINDOW, HOP = 400, 160  # samples: 25 ms every 10 ms
BANDS, COEFFICIENTS = 40, 20
SILENCE = 4.0  # decades of power below the loudest: what is quieter at both ends is left out
STRETCHES = 12  # of a recording, each with statistics of its own


class AudioDescriptor(Descriptor):
    """Means and deviations of mel-frequency cepstral coefficients over stretches of time (Davis, S. & Mermelstein, P.
    (1980). Comparison of parametric representations for monosyllabic word recognition).
    """  # fmt: skip

    name = "audio"
    kind = "audio"
    strengths = (0.0001, 0.001, 0.01, 0.1, 1.0)
    usual = 0.01
    told = f"means and deviations of the spectrum's shape in {STRETCHES} stretches of time"

    def read(self, example: Example, preprocess: Preprocess) -> np.ndarray:
        """Return the numbers of one recording, [D] float32."""
        from scipy.fft import dct

        bands = log_mel(open_audio(Path(example.inputs["audio"]), RATE, max_seconds=SECONDS))
        heard = np.flatnonzero(bands.max(1) > bands.max() - SILENCE)
        shape = dct(bands[heard[0] : heard[-1] + 1], axis=1, norm="ortho")[:, :COEFFICIENTS]
        stretches = np.array_split(shape, STRETCHES) if len(shape) >= STRETCHES else [shape] * STRETCHES
        numbers = [one for part in stretches for one in (part.mean(0), part.std(0))]
        return np.concatenate([*numbers, [np.log(len(shape))]]).astype(np.float32)


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Return the logarithm of a recording's mel spectrum, [T, BANDS]; nothing is more than 80 dB below the loudest."""
    padded = np.pad(samples.astype(np.float64), (0, max(0, WINDOW - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), 512)) ** 2
    mel = np.maximum(power @ _filters(), 1e-10)
    return np.log10(np.maximum(mel, mel.max() * 1e-8))


@cache
def _filters() -> np.ndarray:
    from transformers.audio_utils import mel_filter_bank

    return mel_filter_bank(257, BANDS, 0.0, RATE / 2, RATE, norm="slaney", mel_scale="slaney")


descriptor = AudioDescriptor()
