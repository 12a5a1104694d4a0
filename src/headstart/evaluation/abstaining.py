"""Answers that are better not given: the certainty below which a model is unsure, and what is right above it.

Selective classification by the probability of the answer: Geifman, Y. & El-Yaniv, R. (2017). Selective classification
for deep neural networks. NeurIPS.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headstart.intervals import proportion
from headstart.record import Abstention, Judged, Point

SHARES = np.arange(1, 21) / 20  # of the examples, at which the curve is drawn
FEWEST = 10  # answers, below which a share of right ones is chance


def wanted_accuracy(judged: Sequence[Judged], asked: float) -> float:
    """Return the share of right answers to reach: as asked for, or with half as many wrong as when all are given."""
    return asked or 1 - float(np.mean([not one.right for one in judged])) / 2


def when_unsure(judged: Sequence[Judged], asked: float) -> dict[str, float]:
    """Return what a model remembers of it: `unsure_below` and the share it is to reach; nothing where there is none.

    Args:
        judged: examples that neither the weights nor the test have anything to do with. asked: see `wanted_accuracy`.
    """
    if not judged or any(one.score is None for one in judged):
        return {}
    wanted = wanted_accuracy(judged, asked)
    threshold = unsure_below(judged, wanted)
    return {} if threshold is None else {"unsure_below": threshold, "answered_accuracy": wanted}


def unsure_below(judged: Sequence[Judged], wanted: float) -> float | None:
    """Return the lowest certainty from which on at least `wanted` of the answers are right.

    None where that holds of all answers, where it never does, and where fewer than 10, or than a tenth, would be left.
    """
    certainty, right = _by_certainty(judged)
    answers = np.arange(1, len(right) + 1)
    good = np.cumsum(right) / answers >= wanted
    # A threshold parts answers of different certainty only.
    good[:-1] &= certainty[1:] < certainty[:-1]
    good[: max(FEWEST, len(right) // 10) - 1] = False
    if not good.any() or good[-1]:
        return None
    last = int(np.flatnonzero(good)[-1])
    return float(certainty[last] + certainty[last + 1]) / 2


def abstention_of(
    judged: Sequence[Judged], *, threshold: float | None, wanted: float | None, groups: Any = None
) -> Abstention | None:
    """Return how many examples are answered and how many of those rightly; None where nothing is certain or unsure."""
    if not judged or any(one.score is None for one in judged):
        return None
    order = np.argsort([-(one.score or 0.0) for one in judged], kind="stable")
    right = np.array([one.right for one in judged])
    names = np.arange(len(judged)) if groups is None else np.asarray(groups)

    def of(answered: np.ndarray) -> Point:
        chosen = right[answered]
        interval = proportion(chosen, None if groups is None else names[answered])
        return Point(len(chosen) / len(right), float(chosen.mean()), *interval, len(chosen))

    counts = sorted({max(min(FEWEST, len(right)), round(share * len(right))) for share in SHARES})
    curve = [of(order[:count]) for count in counts]
    if threshold is None:
        return Abstention(curve)
    sure = np.array([(one.score or 0.0) >= threshold for one in judged])
    answered = Point(float(sure.mean()), float(sure.mean()), *proportion(sure, groups), len(sure))
    return Abstention(curve, threshold, answered, of(np.flatnonzero(sure)) if sure.any() else None, wanted)


def _by_certainty(judged: Sequence[Judged]) -> tuple[np.ndarray, np.ndarray]:
    """Return certainty and whether right, the surest first."""
    certainty, right = np.array([one.score for one in judged]), np.array([one.right for one in judged])
    order = np.argsort(-certainty, kind="stable")
    return certainty[order], right[order]
