"""LogME: the evidence of a Bayesian linear model of the targets (You et al. 2021, arXiv:2102.11005)."""

from __future__ import annotations

import math

import numpy as np

from headstart.ranking.scores.contract import Score, columns, standardised
from headstart.tasks.contract import Task

_STEPS = 100
_CLOSE = 1e-4  # relative change of alpha / beta
_RANK = 1e-9  # of the largest singular value: below that a direction is rounding


class LogME(Score):
    """The log evidence an example, mean over the outputs, at the prior and noise that maximise it."""

    name = "logme"

    def measure(self, vectors: np.ndarray, targets: np.ndarray, *, task: Task, folds: np.ndarray) -> float | None:
        left, singular, _ = np.linalg.svd(standardised(vectors), full_matrices=False)
        spanned = singular > _RANK * max(singular[0], 1.0)
        left, singular = left[:, spanned], singular[spanned]
        wanted = standardised(columns(targets, task.outputs))
        return float(np.mean([evidence(left, singular**2, y, vectors.shape[1])[0] for y in wanted.T]) / len(vectors))


def evidence(left: np.ndarray, squares: np.ndarray, y: np.ndarray, width: int) -> tuple[float, float, float]:
    """Return the largest log evidence of one output [N] with its prior precision alpha and noise precision beta.

    Args:
        left, squares: left singular vectors [N, R] and squared singular values [R] of the vectors.

    The fixed point of You et al. 2022 (arXiv:2110.10545), whose steps are linear in R.
    """
    count = len(y)
    projected = (left.T @ y) ** 2
    outside = max(float(y @ y - projected.sum()), 0.0)
    alpha = beta = 1.0
    for _ in range(_STEPS):
        ratio = alpha / beta
        known = float((squares / (squares + ratio)).sum())
        weight = float((squares * projected / (squares + ratio) ** 2).sum())
        error = float((projected / (1 + squares / ratio) ** 2).sum()) + outside
        alpha, beta = max(known, 1e-9) / (weight + 1e-9), max(count - known, 1e-9) / (error + 1e-9)
        if abs(alpha / beta - ratio) <= _CLOSE * ratio:
            break
    ratio = alpha / beta
    weight = float((squares * projected / (squares + ratio) ** 2).sum())
    error = float((projected / (1 + squares / ratio) ** 2).sum()) + outside
    determinant = float(np.log(alpha + beta * squares).sum()) + (width - len(squares)) * math.log(alpha)
    value = width * math.log(alpha) + count * math.log(beta / (2 * math.pi)) - determinant
    return 0.5 * (value - beta * error - alpha * weight), alpha, beta


score = LogME()
