"""How sure a score is: intervals for counts of right answers, and for any other score by resampling."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np

Interval = tuple[float, float]
# Without a single example, a score between 0 and 1 may be anything.
UNKNOWN: Interval = (0.0, 1.0)


def wilson(correct: float, n: float, confidence: float = 0.95) -> Interval:
    """Return the score interval of a proportion, `correct` of `n`.

    Unlike the textbook interval it is never empty at 0 or n and never leaves 0 to 1.

    Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference. JASA 22(158).
    """
    if n == 0:
        return UNKNOWN
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = correct / n
    centre = share + z * z / (2 * n)
    margin = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # Rounding would leave 1e-17 where the formula gives exactly 0 or 1.
    low = 0.0 if correct == 0 else (centre - margin) / scale
    high = 1.0 if correct >= n else (centre + margin) / scale
    return low, high


def proportion(right: Any, groups: Any = None, confidence: float = 0.95) -> Interval:
    """Return the interval of the share of `right` [N], which are right or wrong; examples of one group are alike.

    With groups it is Wilson's for as many independent examples as these are worth, by the variance between groups
    and Student's t for their number. Where all are right, or all wrong, nothing tells how alike the examples of a
    group are, and each group counts once.

    Korn, E. L. & Graubard, B. I. (1998). Confidence intervals for proportions with small expected number of positive
    counts estimated from survey data. Survey Methodology 24(2). With Wilson's: Dean, N. & Pagano, M. (2015).
    Evaluating confidence interval methods for binomial proportions in clustered surveys. JSSAM 3(4).
    """
    right = np.asarray(right, dtype=bool)
    n, correct = len(right), int(right.sum())
    if groups is None or not n:
        return wilson(correct, n, confidence)
    share = correct / n
    worth = _independent(right, groups, share, confidence)
    return wilson(share * worth, worth, confidence)


def _independent(right: np.ndarray, groups: Any, share: float, confidence: float) -> float:
    """Return how many independent examples tell as much of the share as these do, at most all of them."""
    from scipy.special import stdtrit

    n, group_of = len(right), np.unique(np.asarray(groups), return_inverse=True)[1]
    count = int(group_of.max()) + 1
    if count == 1 or share in (0, 1):
        return float(count)
    excess = np.bincount(group_of, weights=right - share)
    variance = count / (count - 1) * float((excess**2).sum()) / n**2
    level = (1 + confidence) / 2
    narrowing = (NormalDist().inv_cdf(level) / float(stdtrit(count - 1, level))) ** 2
    alone = share * (1 - share)
    return max(1.0, min(n, alone / variance if variance else n) * (narrowing if count < n else 1.0))


def bootstrap(
    score: Callable[..., float],
    *arrays: Any,
    resamples: int = 1000,
    seed: int = 0,
    groups: Any = None,
    confidence: float = 0.95,
) -> Interval:
    """Return the percentile bootstrap interval of `score(*arrays)`.

    Args:
        score: takes arrays [M, ...] of resampled examples and returns a number; where it is not finite (in a
            resample without one of the classes, say) that resample is left out.
        arrays: each [N, ...], in the same order of examples.
        groups: [N], a name for each example; whole groups are drawn, because examples of one group are alike.

    Returns:
        The ends of the interval, always finite; 0 and 1 where no resample has a score.

    Efron, B. (1979). Bootstrap methods: another look at the jackknife. Annals of Statistics 7(1).
    """
    arrays = tuple(np.asarray(array) for array in arrays)
    if not len(arrays[0]):
        return UNKNOWN
    draw = _by_example(len(arrays[0])) if groups is None else _by_group(groups)
    generator = np.random.default_rng(seed)
    scores = np.array([score(*_taken(arrays, draw(generator))) for _ in range(resamples)], dtype=np.float64)
    scores = scores[np.isfinite(scores)]
    if not len(scores):
        return UNKNOWN
    low, high = np.quantile(scores, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


Draw = Callable[[np.random.Generator], np.ndarray]


def _by_example(n: int) -> Draw:
    return lambda generator: generator.integers(n, size=n)


def _by_group(groups: Any) -> Draw:
    """Draw groups; the rows of a group that was drawn twice appear twice."""
    names, group_of = np.unique(np.asarray(groups), return_inverse=True)
    rows = np.arange(len(group_of))

    def draw(generator: np.random.Generator) -> np.ndarray:
        drawn = np.bincount(generator.integers(len(names), size=len(names)), minlength=len(names))
        return np.repeat(rows, drawn[group_of])

    return draw


def _taken(arrays: tuple[np.ndarray, ...], rows: np.ndarray) -> list[np.ndarray]:
    return [array[rows] for array in arrays]
