"""Any number of classes an example: each class is a yes or no of its own."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.data.dataset import Dataset
from headstart.data.targets import NO_LABEL, TargetForm, alike, class_name, is_single
from headstart.errors import DataError
from headstart.intervals import bootstrap
from headstart.record import Judged, Section
from headstart.tasks.classification import (
    best_temperature,
    class_scores,
    f1_micro,
    f1_micro_interval,
    per_class_table,
    standardised,
)
from headstart.tasks.contract import Task
from headstart.types import Example, Kind, Labels

YES, NO = frozenset({"1", "1.0", "true", "yes"}), frozenset({"0", "0.0", "false", "no"})
SEPARATOR = ";"
_FEWEST = 3  # examples of a class on validation, below which a threshold would be chance
_CERTAIN = 10.0  # as a logit


class ClassLists(TargetForm):
    """Lists of classes, texts with `;` between classes, or one column a class that says yes or no."""

    least_classes = 1

    def claims(self, examples: Sequence[Example]) -> int:
        several = sum(isinstance(example.target, list | tuple | Mapping) for example in examples)
        return 2 if several > len(examples) / 2 else 0

    def read(self, example: Example) -> tuple[str, ...]:
        raw = example.target
        if isinstance(raw, Mapping):
            return tuple(sorted(column for column, cell in raw.items() if _says_yes(column, cell)))
        if isinstance(raw, str):
            raw = [part for part in raw.split(SEPARATOR) if part.strip()]
        if not isinstance(raw, list | tuple):
            raise ValueError(NO_LABEL if not is_single(raw) else f"has the label `{raw}`, which is no list")
        return tuple(sorted({class_name(part) for part in raw}))

    def classes(self, target: tuple[str, ...]) -> tuple[str, ...]:
        return target

    def text(self, target: tuple[str, ...]) -> str:
        return ", ".join(target) or "none"

    def notes(self, raw: Sequence[Example], examples: Sequence[Example]) -> list[str]:
        held = Counter(name for example in examples for name in example.target)
        named = [example.target for example in raw if isinstance(example.target, Mapping)]
        columns = dict.fromkeys(name for cells in named for name in cells)
        never = ", ".join(f"`{name}`" for name in columns if name not in held)
        always = ", ".join(f"`{name}`" for name in held if held[name] == len(examples))
        return [
            *alike(held),
            *([f"No example has {never}: nothing is learnt about it."] if never else []),
            *([f"Every example has {always}: nothing can be learnt about it."] if always else []),
        ]


def _says_yes(column: str, cell: Any) -> bool:
    word = "" if cell is None else str(cell).strip().lower()
    if not word:
        raise ValueError(f"has nothing in column `{column}`")
    if word in YES or word in NO:
        return word in YES
    raise ValueError(f"has `{cell}` in column `{column}`, which is neither 0 nor 1")


class Multilabel(Task):
    """Predict which of `labels` hold, each where its probability reaches its threshold."""

    name = "multilabel"
    kinds = ("text", "image", "audio", "video")
    metric = "f1_micro"
    form = ClassLists()
    problem_type = "multi_label_classification"

    def __init__(self, kind: Kind, labels: Sequence[str], thresholds: Sequence[float] | None = None) -> None:
        self.kind = kind
        self.labels = tuple(labels)
        self.outputs = len(self.labels)
        self.thresholds = np.array([0.5] * self.outputs if thresholds is None else thresholds, dtype=np.float64)

    @classmethod
    def of(cls, dataset: Dataset) -> Multilabel:
        """Return the task with all classes of the data.

        Raises:
            DataError: no training example has any class, or all have the same ones.
        """
        if not any(example.target for example in dataset.split("train")):
            raise DataError(f"no training example of `{dataset.source}` has a class", "give some of them classes")
        if len({example.target for example in dataset.split("train")}) == 1:
            raise DataError(
                f"all training examples of `{dataset.source}` have the same classes", "give some of them others"
            )
        return cls(dataset.kind, dataset.labels)

    @classmethod
    def sample(cls) -> list[Any]:
        return [["wet", "cold"], ["wet"], [], ["cold"]] * 2

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Multilabel:
        return cls(config["kind"], config["labels"], config["thresholds"])

    def to_config(self) -> dict[str, Any]:
        return {"kind": self.kind, "labels": list(self.labels), "thresholds": self.thresholds.tolist()}

    def encode(self, examples: Sequence[Example]) -> np.ndarray:
        """Return 1 where a class holds and 0 elsewhere, [N, K]."""
        index = {label: number for number, label in enumerate(self.labels)}
        targets = np.zeros((len(examples), self.outputs), np.float32)
        for row, example in enumerate(examples):
            targets[row, [index[label] for label in example.target]] = 1
        return targets

    def loss(self, logits: Tensor, targets: Tensor, *, balance: bool) -> Tensor:
        """Return the binary cross-entropy. Rare classes get no weight: their thresholds do what a weight would."""
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)

    def solve(
        self, vectors: np.ndarray, targets: np.ndarray, *, strength: float, balance: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Solve one logistic regression a class on standardised vectors."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        rows, mean, scale = standardised(vectors)
        weight = np.zeros((self.outputs, vectors.shape[1]), np.float32)
        bias = _logit((targets.sum(0) + 0.5) / (len(targets) + 1)).astype(np.float32)
        for number in np.flatnonzero(targets.any(0) & ~targets.all(0)):
            solver = LogisticRegression(C=strength, max_iter=300)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # 300 steps decide; the score tells
                solver.fit(rows, targets[:, number])
            weight[number] = solver.coef_[0] / scale
            bias[number] = solver.intercept_[0] - solver.coef_[0] @ (mean / scale)
        return weight, bias

    def uninformed(self, targets: np.ndarray) -> np.ndarray:
        """Name the most frequent classes, as many as give the best score."""
        order = np.argsort(-targets.sum(0), kind="stable")
        named = np.zeros((self.outputs, self.outputs))
        for number in range(self.outputs):
            named[number, order[: number + 1]] = 1
        scores = [f1_micro(_counts(np.broadcast_to(row, targets.shape), targets)) for row in named]
        return _CERTAIN * (2 * named[int(np.argmax(scores))] - 1)

    def metrics(
        self, logits: np.ndarray, targets: np.ndarray, *, intervals: bool = True, groups: Any = None
    ) -> dict[str, float]:
        decided = self._decided(logits)
        counts = _counts(decided, targets)
        found = {
            "eval_f1_micro": f1_micro(counts),
            "eval_f1_macro": self._macro(decided, targets),
            "eval_loss": float(_cross_entropy(logits, targets)),
        }
        if intervals:
            ends = {
                "eval_f1_micro": f1_micro_interval(counts, groups),
                "eval_f1_macro": bootstrap(self._macro, decided, targets, groups=groups),
            }
            for name, (low, high) in ends.items():
                found |= {f"{name}_ci_low": low, f"{name}_ci_high": high}
        return found

    def outcomes(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return how many classes of each example are right, predicted and true, [N, 3]."""
        return _counts(self._decided(logits), targets)

    def score(self, outcomes: np.ndarray) -> float:
        return f1_micro(outcomes)

    def sections(self, logits: np.ndarray, targets: np.ndarray, *, groups: Any = None) -> list[Section]:
        decided = self._decided(logits)
        rows = [
            class_scores(f"{label} (from {threshold:.2f})", said * there, said, there, groups)
            for label, threshold, said, there in zip(self.labels, self.thresholds, decided.T, targets.T, strict=True)
        ]
        table = per_class_table(rows, counted="Examples with it")
        return [table]

    def chances(self, logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """State of each example and class that it holds."""
        return _sigmoid(logits), targets == 1

    def decode(self, logits: np.ndarray, examples: Sequence[Example] = ()) -> list[Labels]:
        return [self._labels(row) for row in _sigmoid(logits)]

    def judge(self, example: Example, prediction: Labels) -> Judged:
        named = self.form.text(tuple(sorted(prediction.labels)))
        return Judged(example.name, example.shown(), self.form.text(example.target), named, prediction.certainty)

    def settle(self, logits: np.ndarray, targets: np.ndarray) -> None:
        """Give each class the threshold with the best F1; classes with few examples stay at a half.

        The temperature is one for all classes; it moves their thresholds along, so that it changes no decision.
        """
        pairs = np.stack([np.zeros(logits.size), logits.ravel()], axis=1)
        self.temperature = best_temperature(pairs, targets.ravel().astype(np.int64))
        chances, self.thresholds = _sigmoid(logits), self.thresholds.copy()  # a copy of the task has its own
        for number in range(self.outputs):
            if _FEWEST <= targets[:, number].sum() < len(targets):
                self.thresholds[number] = _best_threshold(chances[:, number], targets[:, number])

    def pooled(self, logits: np.ndarray) -> np.ndarray:
        """Move each class by its threshold, so that a half decides."""
        return self.calibrated(logits - _logit(self.thresholds))

    def finish(self, linear: nn.Linear) -> Task:
        finished = Multilabel(self.kind, self.labels, _sigmoid(self.calibrated(_logit(self.thresholds))).tolist())
        super().finish(linear)
        return finished

    def _decided(self, logits: np.ndarray) -> np.ndarray:
        return (_sigmoid(logits) >= self.thresholds).astype(np.float32)

    def _labels(self, row: np.ndarray) -> Labels:
        order = np.argsort(-row, kind="stable")
        chosen = tuple(self.labels[i] for i in order if row[i] >= self.thresholds[i])
        return Labels(chosen, {self.labels[i]: float(row[i]) for i in order})

    def _macro(self, decided: np.ndarray, targets: np.ndarray) -> float:
        """Return the mean F1 over the classes that occur among targets or predictions."""
        counts = _counts(decided.T, targets.T)
        occurring = counts[counts[:, 1] + counts[:, 2] > 0]
        return float(np.mean([f1_micro(row[None]) for row in occurring])) if len(occurring) else 1.0


def _counts(decided: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return for each row how many ones are right, predicted and true, [N, 3]."""
    return np.stack([(decided * targets).sum(1), decided.sum(1), targets.sum(1)], axis=1)


def _best_threshold(chances: np.ndarray, targets: np.ndarray) -> float:
    """Return the threshold with the best F1, between two neighbouring chances; near a half where several are alike."""
    values = np.unique(chances)
    candidates = [0.5, *((values[1:] + values[:-1]) / 2)]
    scores = {t: f1_micro(_counts((chances >= t)[None].astype(float), targets[None])) for t in candidates}
    return float(max(scores, key=lambda t: (round(scores[t], 9), -abs(t - 0.5))))


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -60, 60)))


def _logit(chances: np.ndarray) -> np.ndarray:
    clipped = np.clip(chances, 1e-6, 1 - 1e-6)
    return np.log(clipped / (1 - clipped))


def _cross_entropy(logits: np.ndarray, targets: np.ndarray) -> float:
    chances = np.clip(_sigmoid(logits), 1e-12, 1 - 1e-12)
    return -(targets * np.log(chances) + (1 - targets) * np.log(1 - chances)).mean()


task = Multilabel
