"""Whether two models differ, judged on the same examples: what both find easy or hard cancels out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from headstart.intervals import Interval, bootstrap
from headstart.tasks.contract import Task

SWAPS = 2000
_Z = NormalDist().inv_cdf(0.975)

Score = Callable[[np.ndarray], float]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first score less the second, with its 95 % interval.

    Attributes:
        p_value: how often chance alone would show a difference as large, were the two alike.
        examples: how many both were judged on.
    """

    estimate: float
    ci_low: float
    ci_high: float
    p_value: float
    examples: int

    @property
    def beyond_noise(self) -> bool:
        """Whether the interval leaves out that there is no difference."""
        return self.ci_low > 0 or self.ci_high < 0


def paired_difference(
    task: Task, logits_a: np.ndarray, logits_b: np.ndarray, targets: np.ndarray, *, groups: Any = None,
    other: Task | None = None,
) -> Difference:  # fmt: skip
    """Return by how much the first metric of `logits_a` exceeds that of `logits_b`.

    Args:
        logits_a, logits_b: [N, K] or [N, T, K], of the same examples in the same order. targets: a row each.
        groups: [N], a name for each example, where examples of one group are alike.
        other: the task that reads `logits_b`, where that has other thresholds or another scale.
    """
    outcomes = task.outcomes(logits_a, targets), (other or task).outcomes(logits_b, targets)
    return difference_of(task.score, *outcomes, groups=groups)


def difference_of(score: Score, a: np.ndarray, b: np.ndarray, *, groups: Any = None) -> Difference:
    """Return the difference of `score` between the outcomes of two models, as `Task.outcomes` gives them.

    Where outcomes are right or wrong, the interval is that of Agresti, A. & Min, Y. (2005). Simple improved
    confidence intervals for comparing matched proportions. Statistics in Medicine 24(5), and the p-value that of the
    exact test of McNemar, Q. (1947). Note on the sampling error of the difference between correlated proportions or
    percentages. Psychometrika 12(2). Else, and where there are groups, both come from resampling: a paired bootstrap
    (Koehn, P. (2004). Statistical significance tests for machine translation evaluation. EMNLP), and a test that
    swaps the two models' outcomes at random (Noreen, E. W. (1989). Computer-intensive methods for testing hypotheses).
    """
    estimate = float(score(a) - score(b))
    if a.dtype == bool and groups is None:
        low, high = _matched_interval(a, b)
        return Difference(estimate, low, high, mcnemar(a, b), len(a))
    low, high = bootstrap(lambda first, second: score(first) - score(second), a, b, groups=groups)
    if a.dtype == bool:  # few groups that all agree would claim to be certain
        least, most = _matched_interval(a, b)
        low, high = min(low, least), max(high, most)
    return Difference(estimate, min(low, estimate), max(high, estimate), _swapped(score, a, b, groups), len(a))


def mcnemar(a: np.ndarray, b: np.ndarray) -> float:
    """Return the two-sided exact p-value of two models that are right at the same rate, from `bool` [N] each."""
    only = sorted((int((a & ~b).sum()), int((b & ~a).sum())))
    n = sum(only)
    # In whole numbers: 2**n is no float from 1024 on.
    tail = sum(comb(n, k) for k in range(only[0] + 1))
    return min(1.0, (2 * tail * 10**12 >> n) / 10**12)


def _matched_interval(a: np.ndarray, b: np.ndarray) -> Interval:
    """Return Agresti and Min's interval: a half more in each cell, so that it is never empty."""
    first, second, n = (a & ~b).sum() + 0.5, (b & ~a).sum() + 0.5, len(a) + 2
    centre = (first - second) / n
    margin = _Z * sqrt(first + second - (first - second) ** 2 / n) / n
    return max(-1.0, float(centre - margin)), min(1.0, float(centre + margin))


def _swapped(score: Score, a: np.ndarray, b: np.ndarray, groups: Any) -> float:
    """Return how often swapping the models, group by group or one by one, gives a difference as large."""
    generator = np.random.default_rng(0)
    of = np.arange(len(a)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    seen, as_large = abs(score(a) - score(b)), 0
    for _ in range(SWAPS):
        swap = generator.integers(2, size=of.max() + 1).astype(bool)[of].reshape(-1, *[1] * (a.ndim - 1))
        found = score(np.where(swap, b, a)) - score(np.where(swap, a, b))
        as_large += abs(found) >= seen - 1e-12
    return (as_large + 1) / (SWAPS + 1)
