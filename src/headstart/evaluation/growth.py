"""Would more data help? The score of a linear head on parts of the training examples, from features that are there.

Each part lies within the next larger one, and groups come in as a whole. Every example is judged by heads that have
not learnt from it, fold by fold; the test split takes no part in it. The head is the linear one that thawed blocks
start from, because they themselves have learnt from all examples.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from headstart.evaluation.paired import difference_of
from headstart.intervals import bootstrap, proportion
from headstart.record import Growth, Point
from headstart.tasks.contract import Task
from headstart.training.folds import few_folds, folds_of, vectors_of
from headstart.training.loop import DEFAULT_STRENGTH

if TYPE_CHECKING:
    from headstart.evaluation.measure import Run

SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)
DRAWS = 2  # of parts, for each fold
FEWEST, FEWEST_LEARNT = 40, 8  # examples in all, and in the smallest part: with fewer, every step would be chance
_MOST_NUMBERS = 150_000_000  # examples x width x outputs, which take some five seconds
_RESAMPLES = 300


def growth_of(run: Run) -> Growth:
    """Return the score by the number of training examples, or why it was not measured."""
    pool = run.splits.outside_test
    if len(pool) < FEWEST:
        return Growth(missing=f"it takes at least {FEWEST} examples outside the test split, and there are {len(pool)}")
    fold_of = few_folds(run.dataset, run.recipe, run.earlier)
    if not fold_of:
        return Growth(missing="there are too few groups to judge some by what was learnt from the others")
    vectors = vectors_of(run.trainable, run.adapted, run.splits)
    if vectors.size * run.task.outputs > _MOST_NUMBERS:
        return Growth(missing=f"{len(pool):,} examples are too many to learn from again and again in a few seconds")
    groups = np.arange(len(pool)) if pool.groups is None else np.unique(pool.groups, return_inverse=True)[1]
    return measured(
        run.task, vectors, pool.targets, folds_of(pool, fold_of), groups, balance=run.recipe.balance,
        strength=run.adapted.solved.strength or DEFAULT_STRENGTH,
    )  # fmt: skip


def measured(
    task: Task, vectors: np.ndarray, targets: np.ndarray, folds: np.ndarray, groups: np.ndarray, *, strength: float,
    balance: bool,
) -> Growth:  # fmt: skip
    """Return the curve of heads that are solved at one strength of fit.

    Args:
        vectors: [N, D] or [N, T, D]. targets: a row each. groups: [N], a number for what comes in as a whole.
        folds: [N], by which each is judged; negative ones are learnt from and never judged.
    """
    least = max(FEWEST_LEARNT, task.outputs)
    learnt = {share: round(share * _learnt_from(folds)) for share in SHARES}
    shares = [share for share in SHARES if learnt[share] >= least]
    outcomes: dict[float, list[np.ndarray]] = {share: [] for share in shares}
    judged: list[np.ndarray] = []
    for draw in range(DRAWS):
        order = _nested(groups, seed=draw)
        for fold in np.unique(folds[folds >= 0]):
            known, asked = order[folds[order] != fold], np.flatnonzero(folds == fold)
            judged.append(groups[asked])
            for share in shares:
                part = known[: math.ceil(share * len(known))]
                weight, bias = task.solve(vectors[part], targets[part], strength=strength, balance=balance)
                outcomes[share].append(task.outcomes(vectors[asked] @ weight.T + bias, targets[asked]))
    of = np.concatenate(judged)
    found = {share: np.concatenate(rows) for share, rows in outcomes.items()}
    points = [_point(task, rows, of, learnt[share]) for share, rows in found.items()]
    if len(shares) < 2:
        return Growth(points, missing="there are too few examples of each class to leave half of them out")
    last = difference_of(task.score, found[shares[-1]], found[shares[-2]], groups=of)
    gain = Point(learnt[shares[-1]], last.estimate, last.ci_low, last.ci_high, len(folds))
    return Growth(points, gain)


def _point(task: Task, outcomes: np.ndarray, of: np.ndarray, learnt: int) -> Point:
    """Return the score of outcomes, several of which may be of one example or group."""
    if outcomes.dtype == bool:
        low, high = proportion(outcomes, of)
    else:
        low, high = bootstrap(task.score, outcomes, groups=of, resamples=_RESAMPLES)
    score = task.score(outcomes)
    return Point(learnt, score, min(low, score), max(high, score), len(outcomes) // DRAWS)


def _nested(groups: np.ndarray, *, seed: int) -> np.ndarray:
    """Return all positions, whole groups behind one another in random order: the first ones are a part of the data."""
    rank = np.random.default_rng(seed).permutation(int(groups.max()) + 1)
    return np.argsort(rank[groups], kind="stable")


def _learnt_from(folds: np.ndarray) -> float:
    """Return how many examples are learnt from where one fold is judged, on average."""
    return float(np.mean([(folds != fold).sum() for fold in np.unique(folds[folds >= 0])]))
