"""What a score promises: how much vectors know of the targets, without training a network.

A score is one file; `score = MyScore()` in it registers it. All scores are taken on training examples alone.

Shapes: N examples, D width, K outputs of the task.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from headstart.tasks.contract import Task


class Score(ABC):
    """A number that is larger where vectors suit the targets better; comparable within one data set alone.

    Attributes:
        name: `logme`.
    """

    name: str

    @abstractmethod
    def measure(self, vectors: np.ndarray, targets: np.ndarray, *, task: Task, folds: np.ndarray) -> float | None:
        """Return the score of vectors [N, D], or None where the score does not apply to such targets.

        Args:
            targets: as `task.encode` gives them, one row an example.
            folds: the fold of every example, [N]; groups are never divided between folds.
        """


def are_classes(targets: np.ndarray) -> bool:
    """Say whether there is one class an example, by number."""
    return targets.dtype.kind in "iu" and targets.ndim == 1


def columns(targets: np.ndarray, outputs: int) -> np.ndarray:
    """Return targets as numbers [N, K]: classes one-hot, all others as they are."""
    if are_classes(targets):
        return np.eye(outputs)[targets]
    return targets.astype(np.float64).reshape(len(targets), -1)


def standardised(vectors: np.ndarray) -> np.ndarray:
    """Return vectors with zero mean and unit variance in every dimension that varies."""
    vectors = vectors.astype(np.float64)
    spread = vectors.std(0)
    return (vectors - vectors.mean(0)) / np.where(spread > 1e-9, spread, 1.0)
