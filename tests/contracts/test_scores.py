"""Every score is larger where vectors know more of the targets, and depends on nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.ranking.scores.contract import Score
from headstart.registry import plugins
from headstart.tasks.classification import Classification
from headstart.tasks.contract import Task
from headstart.tasks.regression import Regression

SCORES: dict[str, Score] = plugins("ranking.scores")
FOLDS = np.arange(120) % 4
TASKS: dict[str, Task] = {
    "classes": Classification("text", ["a", "b", "c"]),
    "numbers": Regression("text", mean=0.0, scale=1.0, spread=1.0),
}


@pytest.fixture(params=sorted(SCORES))
def score(request: pytest.FixtureRequest) -> Score:
    return SCORES[request.param]


def drawn(task: str, *, noise: float, width: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors [120, D] that hold the targets under noise, and the targets."""
    random = np.random.default_rng(0)
    targets = np.arange(120) % 3 if task == "classes" else random.normal(size=120)
    signal = np.eye(3)[targets] if task == "classes" else targets[:, None] * np.ones(3)
    vectors = random.normal(size=(120, width))
    vectors[:, :3] = 2 * signal + noise * vectors[:, :3]
    return vectors.astype(np.float32), targets if task == "classes" else targets.astype(np.float32)


def measured(score: Score, task: str, vectors: np.ndarray, targets: np.ndarray) -> float | None:
    before = vectors.copy()
    found = score.measure(vectors, targets, task=TASKS[task], folds=FOLDS)
    assert np.array_equal(vectors, before)
    return found


@pytest.mark.parametrize("task", sorted(TASKS))
def test_less_noise_is_a_larger_score(score: Score, task: str) -> None:
    found = [measured(score, task, *drawn(task, noise=noise)) for noise in (0.2, 2.0, 20.0)]
    if None in found:
        assert task != "classes", "every score applies to classes"
        assert found == [None] * 3
    else:
        assert found[0] > found[1] > found[2]


def test_the_unit_and_the_origin_of_the_vectors_do_not_matter(score: Score) -> None:
    vectors, targets = drawn("classes", noise=1.0)
    moved = measured(score, "classes", 50 * vectors + 3, targets)
    assert moved == pytest.approx(measured(score, "classes", vectors, targets), rel=0.02)


def test_a_score_is_a_number_where_vectors_are_wider_than_many(score: Score) -> None:
    vectors, targets = drawn("classes", noise=1.0, width=300)
    vectors[:, 50:60] = 7.0  # constant
    assert np.isfinite(measured(score, "classes", vectors, targets))


def test_vectors_that_are_all_alike_know_nothing(score: Score) -> None:
    vectors, targets = drawn("classes", noise=0.2)
    alike = measured(score, "classes", np.ones_like(vectors), targets)
    assert np.isfinite(alike)
    assert alike < measured(score, "classes", vectors, targets)


def test_asked_twice_a_score_says_the_same(score: Score) -> None:
    vectors, targets = drawn("classes", noise=1.0)
    assert measured(score, "classes", vectors, targets) == measured(score, "classes", vectors, targets)
