"""H-score: how much of the vectors' spread lies between the classes, with a shrunk covariance.

Bao et al. 2019 ("An information-theoretic approach to transferability in task transfer learning"), with the
Ledoit-Wolf shrinkage of Ibrahim et al. 2021 (arXiv:2110.06893), without which few examples mislead it.
"""

from __future__ import annotations

import numpy as np

from headstart.ranking.scores.contract import Score, are_classes, standardised
from headstart.tasks.contract import Task


class HScore(Score):
    """The trace of inverse covariance times covariance of the class means; for classes alone."""

    name = "h-score"

    def measure(self, vectors: np.ndarray, targets: np.ndarray, *, task: Task, folds: np.ndarray) -> float | None:
        from sklearn.covariance import ledoit_wolf

        if not are_classes(targets):
            return None
        centred = standardised(vectors)
        if not centred.any():
            return 0.0
        covariance, shrinkage = ledoit_wolf(centred, assume_centered=True)
        means = np.zeros_like(centred)
        for label in np.unique(targets):
            means[targets == label] = centred[targets == label].mean(0)
        # The trace of A^-1 M^T M is the sum of M A^-1 times M; D x D is solved once.
        solved = np.linalg.solve(covariance, means.T).T
        return float((1 - shrinkage) * (solved * means).sum() / len(centred))


score = HScore()
