"""One class an example, for texts, pictures, recordings and videos."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.data.dataset import Dataset
from headstart.data.targets import ClassNames
from headstart.errors import DataError, ModelError
from headstart.intervals import Interval, bootstrap, proportion, wilson
from headstart.record import Judged, Matrix, Section, Table
from headstart.tasks.contract import Task
from headstart.types import Example, Kind, Label

_CHI_SQUARED = 3.841  # of one degree of freedom, at 5 %
_LOG_TEMPERATURES = (math.log(0.05), math.log(20))


class Classification(Task):
    """Predict one of `labels`."""

    name = "classification"
    kinds = ("text", "image", "audio", "video")
    metric = "accuracy"
    form = ClassNames()

    def __init__(self, kind: Kind, labels: Sequence[str], weights: Sequence[float] | None = None) -> None:
        self.kind = kind
        self.labels = tuple(labels)
        self.outputs = len(self.labels)
        self.weights = torch.tensor(weights or [1.0] * self.outputs)

    @classmethod
    def of(cls, dataset: Dataset) -> Classification:
        """Weigh each class by its inverse frequency among the training examples.

        Raises:
            DataError: there are fewer than two classes to learn, though other splits have more.
        """
        counts = dict.fromkeys(dataset.labels, 0)
        for example in dataset.split("train"):
            counts[example.target] += 1
        seen = [label for label, count in counts.items() if count]
        if len(seen) < 2:
            has = f"only the class `{seen[0]}`" if seen else "no example"
            raise DataError(
                f"the training split of `{dataset.source}` has {has}", "give it examples of at least two classes"
            )
        total = sum(counts.values())
        return cls(dataset.kind, dataset.labels, [total / (len(counts) * max(n, 1)) for n in counts.values()])

    @classmethod
    def sample(cls) -> list[Any]:
        return ["cat", "dog"] * 4

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Classification:
        kind, labels = config["kind"], config["labels"]
        if kind not in cls.kinds or not all(isinstance(label, str) for label in labels):
            raise ModelError(f"no classification of {kind} has the classes `{labels}`", "train the model again")
        return cls(kind, labels)

    def to_config(self) -> dict[str, Any]:
        return {"kind": self.kind, "labels": list(self.labels)}

    def encode(self, examples: Sequence[Example]) -> np.ndarray:
        index = {label: number for number, label in enumerate(self.labels)}
        return np.array([index[example.target] for example in examples], dtype=np.int64)

    def loss(self, logits: Tensor, targets: Tensor, *, balance: bool) -> Tensor:
        return torch.nn.functional.cross_entropy(
            logits, targets, weight=self.weights.to(logits.device) if balance else None
        )

    def solve(
        self, vectors: np.ndarray, targets: np.ndarray, *, strength: float, balance: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        return logistic(vectors, targets, self.outputs, strength=strength, balance=balance)

    def uninformed(self, targets: np.ndarray) -> np.ndarray:
        return np.eye(self.outputs)[np.bincount(targets, minlength=self.outputs).argmax()]

    def metrics(
        self, logits: np.ndarray, targets: np.ndarray, *, intervals: bool = True, groups: Any = None
    ) -> dict[str, float]:
        predicted = logits.argmax(1)
        correct = int((predicted == targets).sum())
        found = {
            "eval_accuracy": correct / len(targets),
            "eval_f1_macro": f1_macro(predicted, targets, self.outputs),
            "eval_loss": float(-np.log(probabilities(logits)[np.arange(len(targets)), targets] + 1e-12).mean()),
        }
        if intervals:
            f1 = bootstrap(lambda p, t: f1_macro(p, t, self.outputs), predicted, targets, groups=groups)
            for name, (low, high) in {
                "eval_accuracy": proportion(predicted == targets, groups),
                "eval_f1_macro": f1,
            }.items():
                found |= {f"{name}_ci_low": low, f"{name}_ci_high": high}
        return found

    def outcomes(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return whether each example is right, [N]."""
        return logits.argmax(1) == targets

    def score(self, outcomes: np.ndarray) -> float:
        return float(outcomes.mean())

    def sections(self, logits: np.ndarray, targets: np.ndarray, *, groups: Any = None) -> list[Section]:
        predicted = logits.argmax(1)
        rows = []
        for number, label in enumerate(self.labels):
            named, true = predicted == number, targets == number
            rows.append(class_scores(label, named & true, named, true, groups))
        return [
            per_class_table(rows),
            Matrix(list(self.labels), confusion(predicted, targets, self.outputs).tolist()),
        ]

    def chances(self, logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """State of each example that its most probable class is the right one."""
        return probabilities(logits).max(1), logits.argmax(1) == targets

    def settle(self, logits: np.ndarray, targets: np.ndarray) -> None:
        self.temperature = best_temperature(logits, targets)

    def decode(self, logits: np.ndarray, examples: Sequence[Example] = ()) -> list[Label]:
        return [self._label(row) for row in probabilities(logits)]

    def judge(self, example: Example, prediction: Label) -> Judged:
        return Judged(example.name, example.shown(), example.target, prediction.label, prediction.score)

    def _label(self, row: np.ndarray) -> Label:
        order = np.argsort(-row, kind="stable")
        scores = {self.labels[i]: float(row[i]) for i in order}
        best = self.labels[order[0]]
        return Label(best, scores[best], scores)


def logistic(
    vectors: Any, targets: np.ndarray, classes: int, *, strength: float, balance: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Solve logistic regression on `standardised` vectors; classes without an example get a bias of -20."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    weight = np.zeros((classes, vectors.shape[1]), np.float32)
    bias = np.full(classes, -20.0, np.float32)
    if (targets == targets[0]).all():  # as may happen in a fold of few examples
        bias[targets[0]] = 0
        return weight, bias
    rows, mean, scale = standardised(vectors)
    solver = LogisticRegression(C=strength, class_weight="balanced" if balance else None, max_iter=300)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes")  # one example a class is no regression
        warnings.simplefilter("ignore", ConvergenceWarning)  # 300 steps decide; the score tells
        solver.fit(rows, targets)
    coefficients, intercept = solver.coef_, solver.intercept_
    if len(solver.classes_) == 2:  # one row separates the two; a softmax wants a row for each
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercept = np.concatenate([-intercept, intercept]) / 2
    weight[solver.classes_] = coefficients / scale
    bias[solver.classes_] = intercept - coefficients @ (mean / scale)
    return weight, bias


def standardised(vectors: Any) -> tuple[Any, Any, Any]:
    """Return vectors with mean 0 and deviation 1 in each column, and what was taken off and divided by.

    Sparse ones, which are weighted counts, stay as they are.
    """
    if not isinstance(vectors, np.ndarray):
        return vectors, np.zeros(vectors.shape[1]), 1.0
    mean, scale = vectors.mean(0), vectors.std(0) + 1e-6
    return (vectors - mean) / scale, mean, scale


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Return the softmax over the last axis."""
    exponents = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    return exponents / exponents.sum(-1, keepdims=True)


def best_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """Return what to divide logits [N, K] by so that their softmax states probabilities that hold for `targets` [N].

    It has the lowest log loss (Guo, C. et al. (2017). On calibration of modern neural networks. ICML), where each
    target is taken to be true with a probability of (N + 1) / (N + 2) only, or few examples that are all right would
    ask for certainty (Platt, J. (1999). Probabilistic outputs for support vector machines). It is 1 where the gain
    over that is within noise, by a likelihood ratio test at 5 %: the temperature of few examples may do harm.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    logits, rows = logits.astype(np.float64), np.arange(len(targets))
    true, others = logits[rows, targets], logits.copy()
    others[rows, targets] = -np.inf
    doubt = 1 / (len(targets) + 2)

    def loss(log_temperature: float) -> float:
        scale = math.exp(-log_temperature)
        margin = scale * true - logsumexp(scale * others, axis=1)
        return float(((1 - doubt) * np.logaddexp(0, -margin) + doubt * np.logaddexp(0, margin)).mean())

    best = minimize_scalar(loss, bounds=_LOG_TEMPERATURES, method="bounded")
    return math.exp(best.x) if 2 * len(targets) * (loss(0.0) - best.fun) > _CHI_SQUARED else 1.0


def confusion(predicted: np.ndarray, targets: np.ndarray, classes: int) -> np.ndarray:
    """Return counts [K, K]: rows are true classes, columns predicted ones."""
    return np.bincount(targets * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def class_scores(
    label: str, hits: np.ndarray, predicted: np.ndarray, true: np.ndarray, groups: Any = None
) -> dict[str, Any]:
    """Return label, precision, recall, F1 and support of a class.

    Args:
        hits, predicted, true: how often each example has it and is right, is said to have it, has it, [N] each.

    Returns:
        precision and recall as lists of the score and the ends of its 95 % interval.
    """
    right, said, there = (int(counts.sum()) for counts in (hits, predicted, true))
    precision, recall = (
        [right / max(total, 1), *_share_interval(hits, counts, groups)]
        for total, counts in ((said, predicted), (there, true))
    )
    f1 = 2 * right / max(said + there, 1)
    return {"label": label, "precision": precision, "recall": recall, "f1": f1, "support": there}


def _share_interval(hits: np.ndarray, totals: np.ndarray, groups: Any) -> Interval:
    """Return the interval of the share that `hits` are of `totals`, counts [N]; those of one example are alike."""
    hits, totals = hits.astype(np.int64), totals.astype(np.int64)
    example = np.repeat(np.arange(len(totals)), totals)
    place = np.arange(len(example)) - np.repeat(np.cumsum(totals) - totals, totals)
    if groups is None and totals.max(initial=0) <= 1:
        return proportion(place < hits[example])
    of = np.arange(len(totals)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    return proportion(place < hits[example], of[example])


def per_class_table(rows: Sequence[Mapping[str, Any]], *, counted: str = "Test examples") -> Table:
    """Return `class_scores` for a report, the weakest classes first where there are too many to read."""
    return Table(
        "Class by class",
        columns=["Class", "Precision", "Recall", "F1", counted],
        formats=["name", "percent", "percent", "number", "count"],
        rows=[[row[key] for key in ("label", "precision", "recall", "f1", "support")] for row in rows],
        note="Precision: of all that were called so, the share that are. Recall: of all that are, the share found. "
        "The small numbers are 95 % intervals.",
        weakest_by=3,
    )


def f1_macro(predicted: np.ndarray, targets: np.ndarray, classes: int) -> float:
    """Return the mean F1 over the classes that occur among targets or predictions."""
    counts = confusion(predicted, targets, classes)
    occurring = counts.sum(0) + counts.sum(1)
    return float((2 * np.diag(counts)[occurring > 0] / occurring[occurring > 0]).mean())


def f1_micro(counts: np.ndarray) -> float:
    """Return F1 from right, predicted and true ones of each example, [N, 3]; 1 where nothing was to be found."""
    hits, predicted, true = counts.sum(0)
    return float(2 * hits / (predicted + true)) if predicted + true else 1.0


def f1_micro_interval(counts: np.ndarray, groups: Any = None) -> Interval:
    """Return the interval of `f1_micro` over examples, or over groups of them.

    It is never narrower than for a proportion of as many decisions: where every example is right, or there is but
    one, resampling alone would claim to be certain. Where all groups are right, each counts as one decision.
    """
    found, decisions = f1_micro(counts), round(float(counts[:, 1:].sum()) / 2)
    if groups is not None and found in (0, 1):
        decisions = min(decisions, len(np.unique(groups)))
    low, high = bootstrap(f1_micro, counts, groups=groups)
    least, most = wilson(round(found * decisions), decisions)
    return min(low, least, found), max(high, most, found)


task = Classification
