"""Nearest neighbours: the targets of the five most similar examples of other folds."""

from __future__ import annotations

import numpy as np

from headstart.ranking.scores.contract import Score, are_classes, columns, standardised
from headstart.tasks.contract import Task

NEIGHBOURS = 5
TEMPERATURE = 0.1  # of the weights, in units of cosine similarity


class NearestNeighbours(Score):
    """The share of classes found, or the explained variance of other targets, by cosine similarity."""

    name = "knn"

    def measure(self, vectors: np.ndarray, targets: np.ndarray, *, task: Task, folds: np.ndarray) -> float | None:
        wanted = columns(targets, task.outputs)
        found = neighbours_mean(vectors, wanted, folds)
        if are_classes(targets):
            return float((found.argmax(1) == targets).mean())
        spread = ((wanted - wanted.mean(0)) ** 2).sum()
        return float(1 - ((wanted - found) ** 2).sum() / spread) if spread > 0 else 0.0


def neighbours_mean(vectors: np.ndarray, wanted: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return for every example the mean target [N, K] of its nearest in other folds, weighted by similarity."""
    directions = standardised(vectors)
    directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-9)
    found = np.empty_like(wanted, dtype=np.float64)
    for fold in np.unique(folds):
        inside, outside = folds == fold, folds != fold
        similar = directions[inside] @ directions[outside].T
        nearest = np.argsort(-similar, axis=1, kind="stable")[:, :NEIGHBOURS]
        weights = np.exp(np.take_along_axis(similar, nearest, 1) / TEMPERATURE)
        weights /= weights.sum(1, keepdims=True)
        found[inside] = np.einsum("nk,nkt->nt", weights, wanted[outside][nearest])
    return found


score = NearestNeighbours()
