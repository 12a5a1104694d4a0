"""One number an example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.data.dataset import Dataset
from headstart.data.targets import NO_LABEL, TargetForm, number
from headstart.errors import DataError
from headstart.intervals import bootstrap
from headstart.record import Judged, Scatter, Section, Table
from headstart.tasks.classification import standardised
from headstart.tasks.contract import Task
from headstart.types import Example, Kind, Value

_RANGES = 4  # of true values, for which a report shows the error
_LARGEST = 1e18  # its square, summed over all examples, is still a number of float32
_MOST_BINS, _FEWEST_IN_A_BIN = 10, 10  # for stratified splits


class Numbers(TargetForm):
    """Finite numbers."""

    def claims(self, examples: Sequence[Example]) -> int:
        return 0  # classes may be numbers too: a regression is asked for by name

    def read(self, example: Example) -> float:
        raw = example.target
        if raw is None or (isinstance(raw, str) and not raw.strip()):
            raise ValueError(NO_LABEL)
        value = None if isinstance(raw, bool) else number(str(raw))
        if value is None and number(str(raw).replace(",", ".")) is not None:
            raise ValueError(f"has the target `{raw}`, which is no number: write a point for the comma")
        if value is None:
            raise ValueError(f"has the target `{str(raw)[:40]}`, which is no finite number")
        if abs(value) > _LARGEST:
            raise ValueError(f"has the target `{raw}`, which is too large")
        return value

    def classes(self, target: float) -> tuple[str, ...]:
        return ()

    def strata(self, targets: Sequence[float]) -> list[str]:
        """Cut the range of the numbers into parts with as many examples each."""
        bins = min(_MOST_BINS, max(1, len(targets) // _FEWEST_IN_A_BIN))
        ends = np.quantile(targets, np.linspace(0, 1, bins + 1)[1:-1]) if len(targets) else ()
        return [str(part) for part in np.searchsorted(ends, targets)]

    def text(self, target: float) -> str:
        return f"{target:.4g}"


class Regression(Task):
    """Predict a number; inside, targets have mean 0 and deviation 1 among the training examples.

    Args:
        mean, scale: turn an output of the head into a number. spread: the deviation that losses are measured in.
    """

    name = "regression"
    kinds = ("text", "image", "audio", "video")
    metric = "r2"
    form = Numbers()
    problem_type = "regression"
    outputs = 1

    def __init__(self, kind: Kind, mean: float, scale: float, spread: float) -> None:
        self.kind, self.mean, self.scale, self.spread = kind, mean, scale, spread

    @classmethod
    def of(cls, dataset: Dataset) -> Regression:
        """Take mean and deviation from the training examples.

        Raises:
            DataError: they all have the same number.
        """
        values = np.array([example.target for example in dataset.split("train")], dtype=np.float64)
        if not len(values) or not (spread := float(values.std())):
            raise DataError(
                f"the training examples of `{dataset.source}` have no two different numbers",
                "give it examples with different targets",
            )
        return cls(dataset.kind, float(values.mean()), spread, spread)

    @classmethod
    def sample(cls) -> list[Any]:
        return [1.5, "2", 3, -4.25, 5.5, "6e0", 7, 8.0]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Regression:
        return cls(config["kind"], config["mean"], config["scale"], config["spread"])

    def to_config(self) -> dict[str, Any]:
        return {"kind": self.kind, "mean": self.mean, "scale": self.scale, "spread": self.spread}

    def encode(self, examples: Sequence[Example]) -> np.ndarray:
        return np.array([example.target for example in examples], dtype=np.float32)

    def loss(self, logits: Tensor, targets: Tensor, *, balance: bool) -> Tensor:
        """Return the mean squared error, in squares of the deviation."""
        return torch.nn.functional.mse_loss(
            (logits[:, 0] * self.scale + self.mean) / self.spread, targets / self.spread
        )

    def solve(
        self, vectors: np.ndarray, targets: np.ndarray, *, strength: float, balance: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Solve ridge regression on standardised vectors; the penalty falls with the strength."""
        from sklearn.linear_model import Ridge

        rows, mean, scale = standardised(vectors.astype(np.float64))
        solver = Ridge(alpha=10 / strength)
        solver.fit(rows, (targets.astype(np.float64) - self.mean) / self.scale)
        weight = solver.coef_ / scale
        bias = solver.intercept_ - weight @ mean
        return weight[None].astype(np.float32), np.array([bias], np.float32)

    def uninformed(self, targets: np.ndarray) -> np.ndarray:
        return np.array([(targets.mean(dtype=np.float64) - self.mean) / self.scale])

    def metrics(
        self, logits: np.ndarray, targets: np.ndarray, *, intervals: bool = True, groups: Any = None
    ) -> dict[str, float]:
        values, targets = self._values(logits), targets.astype(np.float64)
        found = {
            "eval_r2": r2(values, targets),
            "eval_mae": _mean_error(values, targets),
            "eval_loss": float(np.mean(((values - targets) / self.spread) ** 2)),
        }
        if intervals:
            # Some resamples of few examples have one target only: the variance of all stands in for theirs.
            variance = float(targets.var())
            ends = {
                "eval_r2": bootstrap(lambda v, t: r2(v, t, variance=variance), values, targets, groups=groups),
                "eval_mae": bootstrap(_mean_error, values, targets, groups=groups),
            }
            for name, (low, high) in ends.items():
                found |= {f"{name}_ci_low": min(low, found[name]), f"{name}_ci_high": max(high, found[name])}
        return found

    def outcomes(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return the predicted and the true number of each example, [N, 2]."""
        return np.stack([self._values(logits), targets.astype(np.float64)], axis=1)

    def score(self, outcomes: np.ndarray) -> float:
        return r2(*outcomes.T)

    def sections(self, logits: np.ndarray, targets: np.ndarray, *, groups: Any = None) -> list[Section]:
        values, targets = self._values(logits), targets.astype(np.float64)
        return [Scatter(targets.tolist(), values.tolist()), _error_table(values, targets, groups)]

    def decode(self, logits: np.ndarray, examples: Sequence[Example] = ()) -> list[Value]:
        return [Value(float(value)) for value in self._values(logits)]

    def judge(self, example: Example, prediction: Value) -> Judged:
        texts = self.form.text(example.target), self.form.text(prediction.value)
        return Judged(example.name, example.shown(), *texts, error=abs(prediction.value - example.target))

    def begin(self, linear: nn.Linear) -> None:
        with torch.no_grad():
            linear.weight.div_(self.scale)
            linear.bias.sub_(self.mean).div_(self.scale)

    def finish(self, linear: nn.Linear) -> Regression:
        """Let the last layer give the number itself, as every reader of the saved folder expects."""
        with torch.no_grad():
            linear.weight.mul_(self.scale)
            linear.bias.mul_(self.scale).add_(self.mean)
        return Regression(self.kind, 0.0, 1.0, self.spread)

    @property
    def output_names(self) -> tuple[str, ...]:
        return ("value",)

    def _values(self, logits: np.ndarray) -> np.ndarray:
        return logits[:, 0].astype(np.float64) * self.scale + self.mean


def r2(values: np.ndarray, targets: np.ndarray, *, variance: float = 0.0) -> float:
    """Return the share of the targets' variance that is explained; as scikit-learn, 0 or 1 where they have none.

    Args:
        variance: that of the targets where these have none.
    """
    variance = float(targets.var()) or variance
    if not variance:
        return float(np.array_equal(values, targets))
    return float(1 - ((values - targets) ** 2).mean() / variance)


def _mean_error(values: np.ndarray, targets: np.ndarray) -> float:
    return float(np.abs(values - targets).mean())


def _error_table(values: np.ndarray, targets: np.ndarray, groups: Any) -> Table:
    """Return the mean error for parts of the range of true values that hold as many examples each."""
    rows = []
    for part in np.array_split(np.argsort(targets, kind="stable"), min(_RANGES, len(targets))):
        name = f"{targets[part[0]]:.4g} to {targets[part[-1]]:.4g}"
        difference, of = values[part] - targets[part], None if groups is None else np.asarray(groups)[part]
        shown = ([float(np.mean(one)), *bootstrap(np.mean, one, groups=of)] for one in (np.abs(difference), difference))
        rows.append([name, len(part), *shown])
    return Table(
        "How far off it is",
        columns=["True value", "Test examples", "Mean error", "Too high by"],
        formats=["name", "count", "number", "number"],
        rows=rows,
        note="The mean error counts every difference as positive; too high by is their mean with its sign. "
        "The small numbers are 95 % intervals.",
    )


task = Regression
