"""Tiny data sets whose classes can be learnt: by colour, by pitch, by words."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

COLOURS = ((200, 60, 50), (60, 170, 80), (60, 90, 200), (210, 190, 60), (150, 70, 170), (90, 190, 200))
PITCHES = (220.0, 440.0, 880.0, 1320.0, 330.0, 660.0)  # Hz
WORDS = (
    ("good", "lovely", "splendid", "charming", "fine", "delightful"),
    ("bad", "awful", "dreadful", "boring", "poor", "tiresome"),
    ("plain", "usual", "average", "common", "middling", "ordinary"),
)
LABELS = ("positive", "negative", "neutral")
THINGS = ("film", "book", "meal", "hotel", "song", "coat", "lamp")


def write_photos(
    folder: Path, *, classes: int = 2, per_class: int = 6, size: int = 32, ending: str = "png", seed: int = 0
) -> Path:
    """Write `folder/colour0/photo0.png` and so on: noise around one colour a class."""
    from PIL import Image

    random = np.random.default_rng(seed)
    for label in range(classes):
        inside = folder / f"colour{label}"
        inside.mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            pixels = np.asarray(COLOURS[label]) + random.integers(-40, 40, (size, size, 3))
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            image.save(inside / f"photo{number}.{ending}")
    return folder


def write_sounds(
    folder: Path,
    *,
    classes: int = 2,
    per_class: int = 6,
    rate: int = 16_000,
    seconds: float = 0.3,
    ending: str = "wav",
    seed: int = 0,
) -> Path:
    """Write `folder/pitch0/sound0.wav` and so on: a tone of one pitch a class, with noise."""
    import soundfile

    random = np.random.default_rng(seed)
    for label in range(classes):
        inside = folder / f"pitch{label}"
        inside.mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            samples = tone(PITCHES[label], seconds, rate) + random.normal(0, 0.01, int(seconds * rate))
            soundfile.write(inside / f"sound{number}.{ending}", samples.astype(np.float32), rate)
    return folder


def tone(pitch: float, seconds: float, rate: int) -> np.ndarray:
    """Return a sine of `pitch` Hz at half of full scale."""
    return 0.5 * np.sin(2 * np.pi * pitch * np.arange(int(seconds * rate)) / rate)


def reviews(rows: int = 24, *, classes: int = 2, seed: int = 0) -> list[dict[str, str]]:
    """Return texts with labels, the classes in turn, no text twice."""
    random = np.random.default_rng(seed)
    found: dict[str, str] = {}
    while len(found) < rows:
        label = len(found) % classes
        first, second = random.choice(WORDS[label], 2)
        thing, other = random.choice(THINGS, 2)
        text = f"A {first} {thing}, {second} like the {other} number {random.integers(1000)}."
        found.setdefault(text, LABELS[label])
    return [{"text": text, "label": label} for text, label in found.items()]


def write_reviews(path: Path, rows: int = 24, *, classes: int = 2, seed: int = 0) -> Path:
    """Write `reviews(...)` as csv, tsv or jsonl, by the ending of `path`."""
    return write_table(path, reviews(rows, classes=classes, seed=seed))


def write_table(path: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    """Write rows with the same keys as csv, tsv or jsonl, by the ending of `path`."""
    rows = list(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        if path.suffix == ".jsonl":
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            return path
        writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writeheader()
        writer.writerows(rows)
    return path
