"""The small values that pass between rooms: what goes in, what comes out, how arrays are shaped.

Shape legend: N examples, T steps, D width, C channels, H W size, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Kind = Literal["text", "image", "audio", "video"]
Split = Literal["train", "validation", "test"]
KINDS: tuple[Kind, ...] = ("text", "image", "audio", "video")
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled (or, when predicting, unlabelled) example.

    Attributes:
        name: unique within its dataset and stable: a path relative to the dataset, or `row 17`.
        inputs: by kind: `{"text": str}`, `{"image": Path}`, `{"audio": Path}`; pairs of texts add `text_pair`.
        target: what to predict, as the format read it: a class name, or later a number, a list, boxes.
        split: the split the user put it in, or None.
        group: examples of one group (a speaker, a patient) are never split, or None.
    """

    name: str
    inputs: Mapping[str, str | Path]
    target: Any = None
    split: Split | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Spec:
    """How one named tensor is shaped and what kind of features it holds.

    Attributes:
        kind: heads attach to this: `vector` [N, D], `sequence` [N, T, D], `map` [N, C, H, W]; or `mask` [N, T],
            or `input` for what a backbone reads.
        width: D or C; 0 where it has none.
        ragged: True when the axis T has a length of its own in every example (given by the mask).
        normalised: False for a raw residual stream, which a head normalises before reading it.
        epsilon: of that norm, as in the network's own last one, whose place it takes.
    """

    kind: Literal["vector", "sequence", "map", "mask", "input"]
    width: int = 0
    ragged: bool = False
    normalised: bool = True
    epsilon: float = 1e-5


@dataclass(frozen=True, slots=True)
class Label:
    """A predicted class: `score` is its probability, `scores` those of all classes, most probable first."""

    label: str
    score: float
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Skipped:
    """An input that was left out, and why."""

    name: str
    error: str
