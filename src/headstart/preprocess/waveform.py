"""Recordings as they are: samples, scaled as the network was trained on them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from headstart.data.isolation import audio_seconds, open_audio
from headstart.errors import CheckpointError, UnreadableFile, first_line
from headstart.preprocess.contract import Preprocess
from headstart.types import Example

SECONDS_AT_MOST = 30
"""Attention grows with the square of the length: 1,500 steps of 20 ms."""


class WaveformPreprocess(Preprocess):
    """Wrap the feature extractor of Wav2Vec2 in transformers.

    Args:
        shortest: shorter recordings are filled up with silence to this many samples.
    """

    kind = "audio"

    def __init__(self, extractor: Any, *, shortest: int = 1) -> None:
        self.extractor = extractor
        self.shortest = shortest
        settings = json.dumps(extractor.to_dict(), sort_keys=True, default=str)
        self.fingerprint = xxhash.xxh3_128(f"waveform {shortest} {SECONDS_AT_MOST} {settings}".encode()).hexdigest()

    @classmethod
    def open(cls, folder: Path, *, shortest: int = 1) -> WaveformPreprocess:
        """Read preprocessor_config.json of a folder in hub layout.

        Raises:
            CheckpointError: there is none, or it describes something else.
        """
        from transformers import Wav2Vec2FeatureExtractor

        try:
            settings = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
            extractor = Wav2Vec2FeatureExtractor(**{k: v for k, v in settings.items() if not k.endswith("_type")})
            if extractor.feature_size != 1:
                raise ValueError("it describes spectrograms")
        except Exception as error:  # whatever damaged settings provoke
            raise CheckpointError(
                f"`{folder}` has no feature extractor that can be read: {first_line(error)}",
                "the folder needs the preprocessor_config.json of a Wav2Vec2",
            ) from error
        return cls(extractor, shortest=shortest)

    def decode(self, example: Example) -> np.ndarray:
        """Return the samples, float32, scaled to mean 0 and variance 1 where the network was trained so."""
        rate = self.extractor.sampling_rate
        samples = open_audio(Path(example.inputs["audio"]), rate, max_seconds=SECONDS_AT_MOST)
        samples = np.pad(samples, (0, max(0, self.shortest - len(samples))))
        return np.asarray(self.extractor(samples, sampling_rate=rate)["input_values"][0], dtype=np.float32)

    def batch(self, decoded: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Return `input_values` and `attention_mask`, both [N, samples of the longest]."""
        lengths = np.array([len(one) for one in decoded])
        values = np.full((len(decoded), lengths.max()), self.extractor.padding_value, np.float32)
        for row, one in zip(values, decoded, strict=True):
            row[: len(one)] = one
        return {
            "input_values": values,
            "attention_mask": (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64),
        }

    def save(self, folder: Path) -> None:
        self.extractor.save_pretrained(folder)

    def size(self, example: Example) -> int:
        try:
            return round(audio_seconds(Path(example.inputs["audio"])) * self.extractor.sampling_rate)
        except UnreadableFile:
            # It is named and left out where it is decoded.
            return 0

    def shortened(self, example: Example) -> bool:
        return audio_seconds(Path(example.inputs["audio"])) > SECONDS_AT_MOST
