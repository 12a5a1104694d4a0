"""The small values that pass between rooms: what goes in, what comes out, how arrays are shaped.

Shape legend: N examples, T steps, D width, C channels, H W size, K classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

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

    def shown(self) -> str:
        """Return its inputs on one line, as a report keeps them: texts, or the path of a file."""
        return " | ".join(str(value) for value in self.inputs.values())


def groups_of(examples: Sequence[Example]) -> list[str] | None:
    """Return a name for the group of each example, [N]; None where none has a group. One without is its own."""
    if not any(example.group for example in examples):
        return None
    return [f"group {example.group}" if example.group else f"example {example.name}" for example in examples]


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


class Prediction(Protocol):
    """What comes out for one input."""

    @property
    def certainty(self) -> float | None:
        """How sure the answer is as a whole, from 0 to 1; None where it is a quantity."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values under the names that programs rely on."""

    def shown(self, top: int = 1) -> str:
        """Return it on one line for people; `top` says how many classes to name."""


@dataclass(frozen=True, slots=True)
class Label:
    """A predicted class: `score` is its probability, `scores` those of all classes, most probable first."""

    label: str
    score: float
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def certainty(self) -> float:
        return self.score

    def to_json(self) -> dict[str, Any]:
        return {"label": self.label, "score": self.score, "scores": dict(self.scores)}

    def shown(self, top: int = 1) -> str:
        best = list(self.scores.items())[:top] if top > 1 else [(self.label, self.score)]
        return ", ".join(f"{label} {score:.3f}" for label, score in best)


@dataclass(frozen=True, slots=True)
class Labels:
    """Any number of predicted classes; `scores` are the probabilities of all, each by itself, most probable first."""

    labels: tuple[str, ...]
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def certainty(self) -> float:
        """That of the least certain class."""
        return min(p if label in self.labels else 1 - p for label, p in self.scores.items())

    def to_json(self) -> dict[str, Any]:
        return {"labels": list(self.labels), "scores": dict(self.scores)}

    def shown(self, top: int = 1) -> str:
        named = list(self.scores)[:top] if top > 1 else self.labels
        return ", ".join(f"{label} {self.scores[label]:.3f}" for label in named) or "none"


@dataclass(frozen=True, slots=True)
class Value:
    """A predicted number."""

    value: float

    @property
    def certainty(self) -> None:
        return None

    def to_json(self) -> dict[str, Any]:
        return {"value": self.value}

    def shown(self, top: int = 1) -> str:
        return f"{self.value:.5g}"


@dataclass(frozen=True, slots=True)
class Span:
    """Words `start` to below `end` that belong together, as one `label`."""

    start: int
    end: int
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Tags:
    """A tag for each word of a text, their probabilities, and the spans that the tags mark."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    scores: tuple[float, ...]
    spans: tuple[Span, ...]

    @property
    def certainty(self) -> float:
        """That of the least certain word."""
        return min(self.scores, default=0.0)

    def to_json(self) -> dict[str, Any]:
        spans = [{"start": s.start, "end": s.end, "label": s.label, "text": s.text} for s in self.spans]
        return {"tokens": list(self.words), "tags": list(self.tags), "scores": list(self.scores), "spans": spans}

    def shown(self, top: int = 1) -> str:
        return ", ".join(f"{span.text} {span.label}" for span in self.spans) or "none"


@dataclass(frozen=True, slots=True)
class Skipped:
    """An input that was left out, and why."""

    name: str
    error: str
