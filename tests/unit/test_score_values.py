"""Scores against what they are defined as, computed the long way."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.ranking.scores.knn import neighbours_mean
from headstart.ranking.scores.logme import evidence
from headstart.ranking.scores.probe import out_of_fold
from headstart.registry import plugin
from headstart.tasks.classification import Classification

RANDOM = np.random.default_rng(0)


def log_density(vectors: np.ndarray, y: np.ndarray, alpha: float, beta: float) -> float:
    """Return log N(y; 0, X X^T / alpha + I / beta): the evidence, by the definition of the model."""
    covariance = vectors @ vectors.T / alpha + np.eye(len(y)) / beta
    _, determinant = np.linalg.slogdet(2 * np.pi * covariance)
    return float(-0.5 * (determinant + y @ np.linalg.solve(covariance, y)))


@pytest.mark.parametrize("width", [4, 60])
def test_the_evidence_is_the_density_of_the_targets_and_its_largest(width: int) -> None:
    vectors = RANDOM.normal(size=(40, width))
    y = vectors[:, :2].sum(1) + RANDOM.normal(size=40)
    left, singular, _ = np.linalg.svd(vectors, full_matrices=False)
    found, alpha, beta = evidence(left, singular**2, y, width)
    assert found == pytest.approx(log_density(vectors, y, alpha, beta), abs=1e-6)
    for factor in (0.7, 1.4):
        assert log_density(vectors, y, alpha * factor, beta) <= found + 1e-6
        assert log_density(vectors, y, alpha, beta * factor) <= found + 1e-6


def test_the_h_score_of_classes_far_apart_nears_their_number_less_one() -> None:
    """The trace counts the directions between the classes, each of them at most once."""
    targets = np.arange(300) % 4
    vectors = 50 * np.eye(4)[targets] + RANDOM.normal(size=(300, 4))
    task = Classification("text", list("abcd"))
    found = plugin("ranking.scores", "h-score").measure(vectors, targets, task=task, folds=np.arange(300) % 3)
    assert 2.5 < found <= 3.0


def test_no_neighbour_comes_from_the_same_fold() -> None:
    """Each example has a twin in its own fold; were it asked, every answer would be its own target."""
    vectors = np.repeat(RANDOM.normal(size=(20, 8)), 2, axis=0)
    folds, wanted = np.repeat(np.arange(20) % 4, 2), np.eye(40)
    found = neighbours_mean(vectors, wanted, folds)
    assert not np.diag(found).any()
    assert not found[np.arange(40), np.arange(40) ^ 1].any()
    assert found.sum(1) == pytest.approx(np.ones(40))


def test_a_probe_is_judged_on_folds_that_it_has_not_seen() -> None:
    """Vectors of noise wider than many fit any labels by heart; out of fold they are worth no more than chance."""
    vectors, targets = RANDOM.normal(size=(80, 200)).astype(np.float32), RANDOM.integers(0, 2, 80)
    task = Classification("text", ["a", "b"])
    logits = out_of_fold(vectors, targets, task, np.arange(80) % 4, strength=0.1)
    assert 0.3 < (logits.argmax(1) == targets).mean() < 0.7
