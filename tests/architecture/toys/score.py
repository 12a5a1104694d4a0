"""A score: how far apart the means of the classes lie, or how far one column follows the first target."""

from __future__ import annotations

import numpy as np

from headstart.ranking.scores.contract import Score, columns, standardised
from headstart.tasks.contract import Task


class Apart(Score):
    name = "toy-score"

    def measure(self, vectors: np.ndarray, targets: np.ndarray, *, task: Task, folds: np.ndarray) -> float | None:
        wanted = standardised(columns(targets, task.outputs))
        return float(np.abs(standardised(vectors).T @ wanted).max() / len(vectors))


score = Apart()
