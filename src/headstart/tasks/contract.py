"""What a task promises: it knows the targets, the loss, the linear solution, the metrics and how to decode.

A task is one file; `task = MyTask` (the class) in it registers it for its kinds: `text-classification` and so on.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from headstart.data.dataset import Dataset
from headstart.data.targets import TargetForm
from headstart.errors import UsageError, nearest
from headstart.preprocess.contract import Preprocess
from headstart.record import Judged, Section
from headstart.registry import plugins
from headstart.types import Example, Kind


class Task(ABC):
    """What is predicted for examples of one kind.

    Attributes:
        name: `classification`. kinds: what it can read. metric: its first metric, without `eval_`; more is better.
        form: how its targets are written in the data.
        head: the head it needs, None where each family's own will do.
        problem_type, pipeline_name: what transformers calls it: `regression`, `classification`.
        kind: what this task reads. outputs: K, the numbers a head gives.
        temperature: what logits are divided by to state probabilities that hold, as `settle` found it; None before,
            once a last layer has been finished with it, and where nothing is stated.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[Kind, ...]]
    metric: ClassVar[str]
    form: ClassVar[TargetForm]
    head: ClassVar[str | None] = None
    problem_type: ClassVar[str | None] = None
    pipeline_name: ClassVar[str] = "classification"
    kind: Kind
    outputs: int
    temperature: float | None = None

    @classmethod
    @abstractmethod
    def of(cls, dataset: Dataset) -> Task:
        """Return the task that the dataset poses."""

    @classmethod
    @abstractmethod
    def sample(cls) -> list[Any]:
        """Return eight targets as data hold them, at least two of them different; tests sweep these."""

    @classmethod
    @abstractmethod
    def from_config(cls, config: Mapping[str, Any]) -> Task:
        """Return the task that `to_config` described."""

    @abstractmethod
    def to_config(self) -> dict[str, Any]:
        """Return all that must be kept beside the weights, as plain values."""

    @abstractmethod
    def encode(self, examples: Sequence[Example]) -> np.ndarray:
        """Return the targets as an array, one row an example."""

    @abstractmethod
    def loss(self, logits: Tensor, targets: Tensor, *, balance: bool) -> Tensor:
        """Return the mean loss of a batch: [N, K] and [N] for a classification."""

    @abstractmethod
    def solve(
        self, vectors: np.ndarray, targets: np.ndarray, *, strength: float, balance: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return weight [K, D] and bias [K] of the best linear map from vectors [N, D]; more strength fits closer.

        The vectors may be a sparse matrix, of which nothing is standardised.
        """

    @abstractmethod
    def uninformed(self, targets: np.ndarray) -> np.ndarray:
        """Return the best logits [K] for every example alike, from the targets of the training examples."""

    @abstractmethod
    def metrics(
        self, logits: np.ndarray, targets: np.ndarray, *, intervals: bool = True, groups: Any = None
    ) -> dict[str, float]:
        """Return `eval_loss` and the metrics; with `intervals` also `_ci_low` and `_ci_high` of each score.

        Args:
            groups: [N], a name for each example, where those of one group are alike: intervals draw whole groups.
        """

    @abstractmethod
    def outcomes(self, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return what the first metric counts of each example, [N] or [N, S]: whether it is right, say."""

    @abstractmethod
    def score(self, outcomes: np.ndarray) -> float:
        """Return the first metric of the examples with these outcomes, so that it can be taken of any part of them."""

    @abstractmethod
    def sections(self, logits: np.ndarray, targets: np.ndarray, *, groups: Any = None) -> list[Section]:
        """Return what a report shows beyond the metrics: tables, matrices, scatter plots; `groups` as for `metrics`."""

    @abstractmethod
    def decode(self, logits: np.ndarray, examples: Sequence[Example] = ()) -> list[Any]:
        """Return one prediction a row, such as a types.Label, for the examples where it depends on them."""

    @abstractmethod
    def judge(self, example: Example, prediction: Any) -> Judged:
        """Return a prediction beside what was expected."""

    def chances(self, logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the probabilities that are stated and whether what they are stated of is so, both [N] or [N, S].

        Where an example has fewer than S statements the rest is nan; None where the task states no probabilities.
        """
        return None

    def settle(self, logits: np.ndarray, targets: np.ndarray) -> None:  # noqa: B027
        """Choose on validation what decides besides the weights: thresholds, the temperature."""

    def calibrated(self, logits: np.ndarray) -> np.ndarray:
        """Return logits whose probabilities hold, as far as one temperature for all of them can do that."""
        return logits / self.temperature if self.temperature else logits

    def begin(self, linear: nn.Linear) -> None:  # noqa: B027
        """Do in the head's last layer, in place, what is done to the targets: the inverse of `finish`."""

    def finish(self, linear: nn.Linear) -> Task:
        """Undo in the head's last layer, in place, what was done to the targets, and divide it by the temperature.

        Whatever reads the saved layer then states calibrated probabilities. Returns the task of such outputs.
        """
        finished = copy.copy(self)
        if self.temperature:
            with torch.no_grad():
                linear.weight.div_(self.temperature)
                linear.bias.div_(self.temperature)
            finished.temperature = None
        return finished

    def pooled(self, logits: np.ndarray) -> np.ndarray:
        """Return logits that mean the same whatever was settled, to judge the folds of a validation together."""
        return self.calibrated(logits)

    def read_with(self, preprocess: Preprocess) -> None:  # noqa: B027
        """Learn how inputs become steps; for tasks whose targets belong to parts of an input."""

    @property
    def full_name(self) -> str:
        return self.name_for(self.kind)

    @classmethod
    def name_for(cls, kind: Kind) -> str:
        """Return what users call the task for one kind of data."""
        return f"{kind}-{cls.name}"

    @property
    def pipeline(self) -> str:
        """What transformers' pipelines call it."""
        return f"{self.kind}-{self.pipeline_name}"

    @property
    def output_names(self) -> tuple[str, ...]:
        """The names of the K outputs, as config.json lists them."""
        return getattr(self, "labels", ())


def task_names() -> dict[str, tuple[type[Task], Kind]]:
    """Return the tasks by their full names."""
    return {task.name_for(kind): (task, kind) for task in plugins("tasks").values() for kind in task.kinds}


def find_task(full_name: str) -> tuple[type[Task], Kind]:
    """Return a task's class and kind by its full name.

    Raises:
        UsageError: there is no such task.
    """
    names = task_names()
    if full_name not in names:
        raise UsageError(f"there is no task `{full_name}`", nearest(full_name, names))
    return names[full_name]
