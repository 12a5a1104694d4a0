"""The test examples that a report shows, small enough to travel inside the page."""

from __future__ import annotations

import base64
import io
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.data.isolation import open_audio, open_image
from headstart.errors import HeadstartError
from headstart.record import Judged, Record
from headstart.reporting.wording import excerpt

MISTAKES = 12
RIGHT = 4
THUMBNAIL_PIXELS = 128
CLIP_SECONDS = 5.0
CLIP_RATE = 16_000
EXCERPT_CHARACTERS = 280


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A judged example with what can be seen or heard of it.

    Attributes:
        media: data URI of a thumbnail or clip, or empty. text: excerpt of a text, or empty.
        missing: why there is nothing to see or hear, or empty.
    """

    judged: Judged
    media: str = ""
    text: str = ""
    missing: str = ""


def mistakes(record: Record) -> list[Exhibit]:
    """Return the wrong predictions that the model was most certain of, or that were furthest off."""
    wrong = [judged for judged in record.judged if not judged.right]
    wrong.sort(key=lambda judged: (-judged.weight, judged.name))
    return [_exhibit(judged, record.kind) for judged in wrong[:MISTAKES]]


def right(record: Record) -> list[Exhibit]:
    """Return a few right predictions, spread evenly from the least to the most certain."""
    correct = [judged for judged in record.judged if judged.right]
    correct.sort(key=lambda judged: (judged.weight, judged.name))
    places = np.linspace(0, len(correct) - 1, min(RIGHT, len(correct))).round().astype(int)
    return [_exhibit(correct[place], record.kind) for place in places]


def _exhibit(judged: Judged, kind: str) -> Exhibit:
    if kind == "text":
        return Exhibit(judged, text=excerpt(judged.input, EXCERPT_CHARACTERS))
    make = {"image": thumbnail, "audio": clip}.get(kind)
    if make is None:
        return Exhibit(judged, missing="not shown")
    try:
        return Exhibit(judged, media=make(Path(judged.input)))
    except HeadstartError:
        return Exhibit(judged, missing="the file can no longer be read")


def thumbnail(path: Path) -> str:
    """Return a picture as a data URI, at most 128 pixels a side.

    Raises:
        UnreadableFile, MissingExtra: as `open_image`.
    """
    image = open_image(path)
    image.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return _data_uri("image/jpeg", file.getvalue())


def clip(path: Path) -> str:
    """Return the first 5 seconds of a recording as a data URI, a wav of 16 kHz that every browser plays.

    Raises:
        UnreadableFile, MissingExtra: as `open_audio`.
    """
    samples = open_audio(path, CLIP_RATE, max_seconds=CLIP_SECONDS)[: int(CLIP_SECONDS * CLIP_RATE)]
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(CLIP_RATE)
        sound.writeframes((samples.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return _data_uri("audio/wav", file.getvalue())


def _data_uri(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
