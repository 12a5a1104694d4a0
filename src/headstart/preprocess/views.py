"""Varied views of the same example: what a class allows to change, so that a frozen network need not see it once only.

Pictures are mirrored and cropped (half to all of the area, Szegedy et al. 2014, arXiv:1409.4842). Of spectrograms a
stretch of time and a band of frequencies are masked (SpecAugment, Park et al. 2019, arXiv:1904.08779); waveforms get
noise and a stretch of silence. A view is a function of the example and its number, so that it can be cached.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from headstart.preprocess.contract import Preprocess
from headstart.types import Example, Kind

KINDS: tuple[Kind, ...] = ("image", "audio")
LEAST_AREA = 0.5
MASKED_SHARE = 0.2  # of the steps, and of the bands
NOISE = 0.1  # of the waveform's own deviation: 20 dB below it


class Varied(Preprocess):
    """The preprocessing of a backbone, followed by one view.

    Args:
        view: counted from 1; view 0 would be the example as it is.
    """

    def __init__(self, preprocess: Preprocess, view: int) -> None:
        self.kind = preprocess.kind
        self.fingerprint = f"{preprocess.fingerprint} view {view}"
        self._preprocess, self._view = preprocess, view

    def decode(self, example: Example) -> Any:
        decoded = self._preprocess.decode(example)
        array = decoded["input_features"] if isinstance(decoded, dict) else decoded
        random = np.random.default_rng([self._view, xxhash.xxh3_64_intdigest(np.ascontiguousarray(array).tobytes())])
        if self.kind == "image":
            return _cropped(array, random)
        if isinstance(decoded, dict):
            return {**decoded, "input_features": _masked(array, int(decoded["attention_mask"].sum()), random)}
        return _noisy(array, random)

    def batch(self, decoded: Sequence[Any]) -> dict[str, np.ndarray]:
        return self._preprocess.batch(decoded)

    def save(self, folder: Path) -> None:
        self._preprocess.save(folder)

    def size(self, example: Example) -> int:
        return self._preprocess.size(example)

    def shortened(self, example: Example) -> bool:
        return self._preprocess.shortened(example)


def _cropped(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a part of a picture [C, H, W] scaled to the whole size, mirrored every other time."""
    from PIL import Image

    height, width = pixels.shape[1:]
    side = float(np.sqrt(random.uniform(LEAST_AREA, 1)))
    left, top = random.uniform(0, width * (1 - side)), random.uniform(0, height * (1 - side))
    box = (left, top, left + width * side, top + height * side)
    scaled = [
        np.asarray(Image.fromarray(channel).resize((width, height), Image.Resampling.BILINEAR, box))
        for channel in pixels.astype(np.float32)
    ]
    return np.ascontiguousarray(np.stack(scaled)[:, :, :: random.choice([1, -1])])


def _masked(spectrogram: np.ndarray, steps: int, random: np.random.Generator) -> np.ndarray:
    """Return a spectrogram [bands, steps] with a stretch of its real steps and a band at their mean."""
    varied = spectrogram.copy()
    mean = spectrogram[:, : max(steps, 1)].mean()
    varied[:, slice(*_stretch(steps, random))] = mean
    varied[slice(*_stretch(len(spectrogram), random)), :steps] = mean
    return varied


def _noisy(samples: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a waveform [T] with noise, and silence in a stretch of it."""
    varied = samples + random.normal(0, NOISE * samples.std(), len(samples)).astype(samples.dtype)
    varied[slice(*_stretch(len(samples), random))] = 0
    return varied


def _stretch(length: int, random: np.random.Generator) -> tuple[int, int]:
    size = int(random.uniform(0, MASKED_SHARE) * length)
    start = int(random.integers(0, length - size + 1))
    return start, start + size
