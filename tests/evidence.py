"""Data with nothing wrong in them, as checks look at them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from headstart.checking.evidence import Evidence
from headstart.checking.sketch import BANDS, SIDE, Sketch
from headstart.data.dataset import Dataset
from headstart.types import Example, Kind

COUNT = 60
LABELS = ("cold", "warm")
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def clean_evidence(kind: Kind) -> Evidence:
    """Return sixty examples of two classes, the classes in turn, no two of them alike, with vectors that tell them."""
    random = np.random.default_rng(0)
    examples = tuple(_example(kind, number, random) for number in range(COUNT))
    dataset = Dataset(
        examples=examples,
        kind=kind,
        labels=LABELS,
        skipped=(),
        notes=(),
        source=Path("data"),
        own_splits=True,
        hashes={example.name: f"content {number}" for number, example in enumerate(examples)},
    )
    signal = np.array([LABELS.index(example.target) for example in examples])[:, None] * 8.0
    vectors = (random.normal(0, 1, (COUNT, 16)) + signal * np.eye(16)[0]).astype(np.float32)
    sketches = {} if kind == "text" else {example.name: _sketch(kind, random) for example in examples}
    return Evidence(dataset, sketches, vectors=vectors, embedded=examples)


def _example(kind: Kind, number: int, random: np.random.Generator) -> Example:
    split = ("train", "train", "train", "validation", "test")[number % 5]
    label = LABELS[number % 2]
    if kind == "text":
        return Example(f"row {number + 1}", {"text": _sentence(random)}, label, split)
    name = f"{label}/item{number}.{'png' if kind == 'image' else 'wav'}"
    return Example(name, {kind: Path("gone") / name}, label, split)


def _sentence(random: np.random.Generator) -> str:
    return " ".join("".join(random.choice(list(LETTERS), 6)) for _ in range(random.integers(8, 12)))


def _sketch(kind: Kind, random: np.random.Generator) -> Sketch:
    if kind == "image":
        return Sketch((64.0, 64.0), False, random.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8))
    return Sketch((1.0, 0.0), False, random.normal(-2, 1, (50, BANDS)).astype(np.float16))
