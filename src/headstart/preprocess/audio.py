"""Recordings to log-mel spectrograms, as Whisper was trained on them (arXiv:2212.04356, section 2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xxhash

from headstart.data.isolation import audio_seconds, open_audio
from headstart.preprocess.contract import Preprocess
from headstart.types import Example

SAMPLING_RATE = 16_000


class AudioPreprocess(Preprocess):
    """Wrap the feature extractor of Whisper in transformers.

    Args:
        window_seconds: shorter recordings are filled up with silence, longer ones are cut.
        mel_bins: bands of the spectrogram.
    """

    kind = "audio"

    def __init__(self, *, window_seconds: int = 30, mel_bins: int = 80) -> None:
        from transformers import WhisperFeatureExtractor

        self.window_seconds = window_seconds
        self.extractor = WhisperFeatureExtractor(
            feature_size=mel_bins,
            sampling_rate=SAMPLING_RATE,
            chunk_length=window_seconds,
            return_attention_mask=True,
        )
        self.fingerprint = xxhash.xxh3_128(f"log-mel {mel_bins} {window_seconds}".encode()).hexdigest()

    def decode(self, example: Example) -> dict[str, np.ndarray]:
        """Return the spectrogram, [mel bins, 100 a second] float32, and which of its columns hold sound."""
        samples = open_audio(Path(example.inputs["audio"]), SAMPLING_RATE, max_seconds=self.window_seconds)
        arrays = self.extractor(samples, sampling_rate=SAMPLING_RATE, return_tensors="np", return_attention_mask=True)
        return {
            "input_features": arrays["input_features"][0].astype(np.float32),
            "attention_mask": arrays["attention_mask"][0].astype(np.int64),
        }

    def batch(self, decoded: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        return {name: np.stack([one[name] for one in decoded]) for name in decoded[0]}

    def save(self, folder: Path) -> None:
        self.extractor.save_pretrained(folder)

    def shortened(self, example: Example) -> bool:
        return audio_seconds(Path(example.inputs["audio"])) > self.window_seconds
