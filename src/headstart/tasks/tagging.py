"""A tag for each word of a text, such as names of people and places; the score counts whole spans.

A word has the tag that is read at its first sub-token. Words are what spaces separate. Tags that say how spans begin
(`B-`, `I-` and so on) are read as the shared task does: Tjong Kim Sang, E. & De Meulder, F. (2003). Introduction to
the CoNLL-2003 shared task. Tags without a prefix make a span of all neighbours that are alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.data.dataset import Dataset
from headstart.data.targets import NO_LABEL, TargetForm, class_name
from headstart.errors import DataError
from headstart.intervals import bootstrap
from headstart.record import Judged, Matrix, Section
from headstart.tasks.classification import (
    best_temperature,
    class_scores,
    confusion,
    f1_micro,
    f1_micro_interval,
    logistic,
    per_class_table,
    probabilities,
)
from headstart.tasks.contract import Task
from headstart.types import Example, Kind, Span, Tags

OUTSIDE = "O"
NOWHERE = -100  # the target of a step that no word begins at
_PREFIXED = re.compile(r"([BIESLU])-(.+)")
_MOST_WORDS = 20_000  # decide a linear map as well as more would


class TagLists(TargetForm):
    """A list of tags, or a text of them with spaces between, as long as its text has words."""

    least_classes = 2

    def claims(self, examples: Sequence[Example]) -> int:
        fitting = sum(
            isinstance(e.target, list | tuple) and len(e.target) == len(words_of(e))
            for e in examples
            if "text" in e.inputs
        )
        return 3 if fitting > len(examples) / 2 else 0

    def read(self, example: Example) -> tuple[str, ...]:
        raw = example.target.split() if isinstance(example.target, str) else example.target
        if not isinstance(raw, list | tuple):
            raise ValueError(NO_LABEL)
        words = len(words_of(example))
        if len(raw) != words:
            raise ValueError(f"has {len(raw)} tags for {words} words")
        return tuple(class_name(tag) for tag in raw)

    def classes(self, target: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(set(target)))

    def text(self, target: tuple[str, ...]) -> str:
        return " ".join(target)


def words_of(example: Example) -> list[str]:
    """Return the words of a text."""
    return str(example.inputs["text"]).split()


class Tagging(Task):
    """Predict one of `labels` for every word."""

    name = "tagging"
    kinds = ("text",)
    metric = "f1_micro"
    form = TagLists()
    head = "tokens"

    def __init__(self, kind: Kind, labels: Sequence[str]) -> None:
        self.kind = kind
        self.labels = tuple(labels)
        self.outputs = len(self.labels)
        self._preprocess: Any = None

    @classmethod
    def name_for(cls, kind: Kind) -> str:
        return "token-tagging"

    @property
    def pipeline(self) -> str:
        return "token-classification"

    @classmethod
    def of(cls, dataset: Dataset) -> Tagging:
        """Return the task with all tags of the data.

        Raises:
            DataError: the training examples have fewer than two tags.
        """
        if len({tag for example in dataset.split("train") for tag in example.target}) < 2:
            raise DataError(
                f"the training split of `{dataset.source}` has fewer than two tags", "give it texts with more tags"
            )
        return cls(dataset.kind, dataset.labels)

    @classmethod
    def sample(cls) -> list[Any]:
        return [["B-x", "I-x", "O"], ["O", "O", "B-y"], "O B-x O", ["O", "B-y", "I-y"]] * 2

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Tagging:
        return cls(config["kind"], config["labels"])

    def to_config(self) -> dict[str, Any]:
        return {"kind": self.kind, "labels": list(self.labels)}

    def read_with(self, preprocess: Any) -> None:
        self._preprocess = preprocess

    def encode(self, examples: Sequence[Example]) -> np.ndarray:
        """Return the number of each word's tag at its first step, [N, T], and -100 at all other steps."""
        index = {label: number for number, label in enumerate(self.labels)}
        steps = [self._preprocess.word_steps(example) for example in examples]
        last = max((step for one in steps for step in one), default=0)
        targets = np.full((len(examples), 1 + max(last, 0)), NOWHERE)
        for row, (example, places) in enumerate(zip(examples, steps, strict=True)):
            for place, tag in zip(places, example.target, strict=True):
                if place >= 0:
                    targets[row, place] = index[tag]
        return targets.astype(np.int64)

    def loss(self, logits: Tensor, targets: Tensor, *, balance: bool) -> Tensor:
        """Return the cross-entropy over words. Rare tags get no weight: a false alarm costs a span as well."""
        steps = min(logits.shape[1], targets.shape[1])
        return torch.nn.functional.cross_entropy(
            logits[:, :steps].transpose(1, 2), targets[:, :steps], ignore_index=NOWHERE
        )

    def solve(
        self, vectors: np.ndarray, targets: np.ndarray, *, strength: float, balance: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Solve logistic regression on the first steps of words, on a random part of them where they are many.

        Vectors [M, D] and targets [M] are those of words alone.
        """
        chosen, tags = (vectors, targets) if targets.ndim == 1 else _at_words(vectors, targets)
        if len(tags) > _MOST_WORDS:
            some = np.random.default_rng(0).choice(len(tags), _MOST_WORDS, replace=False)
            chosen, tags = chosen[some], tags[some]
        return logistic(chosen, tags, self.outputs, strength=strength, balance=False)

    def uninformed(self, targets: np.ndarray) -> np.ndarray:
        return np.eye(self.outputs)[np.bincount(targets[targets != NOWHERE], minlength=self.outputs).argmax()]

    def metrics(
        self, logits: np.ndarray, targets: np.ndarray, *, intervals: bool = True, groups: Any = None
    ) -> dict[str, float]:
        rows, tags = _at_words(logits, targets)
        counts = self.outcomes(logits, targets)
        right = np.array([_share(p == t) for p, t in zip(*self._numbers(logits, targets), strict=True)])
        found = {
            "eval_f1_micro": f1_micro(counts),
            "eval_accuracy": float((rows.argmax(1) == tags).mean()),
            "eval_loss": float(-np.log(probabilities(rows)[np.arange(len(tags)), tags] + 1e-12).mean()),
        }
        if intervals:
            ends = {
                "eval_f1_micro": f1_micro_interval(counts, groups),
                "eval_accuracy": bootstrap(lambda one: one[:, 0].sum() / one[:, 1].sum(), right, groups=groups),
            }
            for name, (low, high) in ends.items():
                found |= {f"{name}_ci_low": low, f"{name}_ci_high": high}
        return found

    def outcomes(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return how many spans of each example are right, predicted and true, [N, 3]."""
        return np.array([_hits(found, true) for found, true in self._sequences(logits, targets)])

    def score(self, outcomes: np.ndarray) -> float:
        return f1_micro(outcomes)

    def sections(self, logits: np.ndarray, targets: np.ndarray, *, groups: Any = None) -> list[Section]:
        rows, tags = _at_words(logits, targets)
        pairs = self._sequences(logits, targets)
        kinds = sorted({span[2] for sequences in pairs for sequence in sequences for span in spans(sequence)})
        per_kind = []
        for kind in kinds:
            hits, predicted, true = np.array([_hits(found, right, kind) for found, right in pairs]).T
            per_kind.append(class_scores(kind, hits, predicted, true, groups))
        counts = confusion(rows.argmax(1), tags, self.outputs)
        return [
            per_class_table(per_kind, counted="Spans"),
            Matrix(list(self.labels), counts.tolist(), "Which tag is taken for which, word by word"),
        ]

    def chances(self, logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """State of each word that its most probable tag is the right one."""
        steps = min(logits.shape[1], targets.shape[1])
        logits, targets = logits[:, :steps], targets[:, :steps]
        words = targets != NOWHERE
        right = np.where(words, logits.argmax(-1) == targets, np.nan)
        return np.where(words, probabilities(logits).max(-1), np.nan), right

    def settle(self, logits: np.ndarray, targets: np.ndarray) -> None:
        self.temperature = best_temperature(*_at_words(logits, targets))

    def decode(self, logits: np.ndarray, examples: Sequence[Example] = ()) -> list[Tags]:
        chances = probabilities(logits)
        return [self._tags(row, example) for row, example in zip(chances, examples, strict=True)]

    def judge(self, example: Example, prediction: Tags) -> Judged:
        expected = _marked(prediction.words, spans(example.target))
        found = _marked(prediction.words, spans(prediction.tags))
        return Judged(example.name, example.shown(), expected, found, prediction.certainty)

    def _tags(self, chances: np.ndarray, example: Example) -> Tags:
        """Read one example's tags; words that the backbone did not see are outside."""
        words, steps = words_of(example), self._preprocess.word_steps(example)
        tags = [self.labels[chances[step].argmax()] if step >= 0 else OUTSIDE for step in steps]
        scores = [float(chances[step].max()) if step >= 0 else 0.0 for step in steps]
        found = tuple(Span(start, end, kind, " ".join(words[start:end])) for start, end, kind in spans(tags))
        return Tags(tuple(words), tuple(tags), tuple(scores), found)

    def _numbers(self, logits: np.ndarray, targets: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return predicted and true tags as numbers, those of each example's words."""
        steps = min(logits.shape[1], targets.shape[1])
        predicted, targets = logits[:, :steps].argmax(-1), targets[:, :steps]
        words = targets != NOWHERE
        return (
            [row[here] for row, here in zip(predicted, words, strict=True)],
            [row[here] for row, here in zip(targets, words, strict=True)],
        )

    def _sequences(self, logits: np.ndarray, targets: np.ndarray) -> list[tuple[list[str], list[str]]]:
        predicted, true = self._numbers(logits, targets)
        return [
            ([self.labels[i] for i in p], [self.labels[i] for i in t]) for p, t in zip(predicted, true, strict=True)
        ]


def spans(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """Return first word, word after the last, and kind of every span that the tags mark."""
    found = []
    start = 0
    read = [("", ""), *(_parsed(tag) for tag in tags), ("", "")]
    for place, ((before, kind_before), (prefix, kind)) in enumerate(pairwise(read)):
        if kind != kind_before or prefix in "BSU" or before in tuple("ESLU"):
            if kind_before:
                found.append((start, place, kind_before))
            start = place
    return found


def _parsed(tag: str) -> tuple[str, str]:
    """Return prefix and kind of a tag; both are empty outside of spans."""
    if tag == OUTSIDE:
        return "", ""
    match = _PREFIXED.fullmatch(tag)
    return (match[1], match[2]) if match else ("I", tag)


def _at_words(rows: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return rows [M, ...] and targets [M] of the steps at which words begin."""
    steps = min(rows.shape[1], targets.shape[1])
    here = targets[:, :steps] != NOWHERE
    return rows[:, :steps][here], targets[:, :steps][here]


def _hits(found: Sequence[str], true: Sequence[str], kind: str | None = None) -> tuple[int, int, int]:
    """Count the spans of a kind that are right, predicted and true."""
    predicted, wanted = ({span for span in spans(tags) if kind in (None, span[2])} for tags in (found, true))
    return len(predicted & wanted), len(predicted), len(wanted)


def _share(right: np.ndarray) -> tuple[int, int]:
    return int(right.sum()), len(right)


def _marked(words: Sequence[str], found: Sequence[tuple[int, int, str]]) -> str:
    """Return spans as people read them: `Alice PER, New York LOC`."""
    return ", ".join(f"{' '.join(words[start:end])} {kind}" for start, end, kind in found) or "none"


task = Tagging
