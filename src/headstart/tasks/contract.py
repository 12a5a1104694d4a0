"""What a task promises: it knows the targets, the loss, the linear solution, the metrics and how to decode.

A task is one file; `task = MyTask` (the class) in it registers it for its kinds: `text-classification` and so on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from headstart.data.dataset import Dataset
from headstart.errors import UsageError, nearest
from headstart.registry import plugins
from headstart.types import Example, Kind


class Task(ABC):
    """What is predicted for examples of one kind.

    Attributes:
        name: `classification`. kinds: what it can read. metric: its first metric, without `eval_`.
        kind: what this task reads. outputs: K, the numbers a head gives.
    """

    name: ClassVar[str]
    kinds: ClassVar[tuple[Kind, ...]]
    metric: ClassVar[str]
    kind: Kind
    outputs: int

    @classmethod
    @abstractmethod
    def of(cls, dataset: Dataset) -> Task:
        """Return the task that the dataset poses."""

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
        """Return weight [K, D] and bias [K] of the best linear map from vectors [N, D]; more strength fits closer."""

    @abstractmethod
    def metrics(self, logits: np.ndarray, targets: np.ndarray, *, intervals: bool = True) -> dict[str, float]:
        """Return `eval_loss` and the metrics; with `intervals` also `_ci_low` and `_ci_high` of each score."""

    @abstractmethod
    def details(self, logits: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
        """Return what a report shows beyond the metrics, under names of training.record.Record."""

    @abstractmethod
    def decode(self, logits: np.ndarray) -> list[Any]:
        """Return one prediction a row, such as a types.Label."""

    @property
    def full_name(self) -> str:
        return f"{self.kind}-{self.name}"


def task_names() -> dict[str, tuple[type[Task], Kind]]:
    """Return the tasks by their full names."""
    return {f"{kind}-{task.name}": (task, kind) for task in plugins("tasks").values() for kind in task.kinds}


def task_kind(full_name: str) -> Kind:
    """Return the kind of examples that a task reads.

    Raises:
        UsageError: there is no such task.
    """
    return find_task(full_name)[1]


def find_task(full_name: str) -> tuple[type[Task], Kind]:
    """Return a task's class and kind by its full name."""
    names = task_names()
    if full_name not in names:
        raise UsageError(f"there is no task `{full_name}`", nearest(full_name, names))
    return names[full_name]
