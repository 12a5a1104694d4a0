"""Whether probabilities hold: of all answers that a model is 80 % sure of, are 80 % right?"""

from __future__ import annotations

from typing import Any

import numpy as np

from headstart.intervals import proportion
from headstart.record import Calibration, Point
from headstart.tasks.contract import Task

BINS, FEWEST_IN_A_BIN = 10, 20  # of the plot
_DRAWS = 200
_MOST_BINS = 100  # of the error, where more would change nothing


def calibration_of(
    task: Task, before: np.ndarray, after: np.ndarray, targets: np.ndarray, *, temperature: float, groups: Any = None
) -> Calibration | None:
    """Return how well stated probabilities hold before and after they were calibrated; None where none are stated.

    Args:
        before, after: logits of the same examples. temperature: what they were divided by.
        groups: [N], a name for each example, where those of one group are alike.
    """
    plain, scaled = (_stated(task, logits, targets, groups) for logits in (before, after))
    if plain is None or scaled is None:
        return None
    errors = calibration_error(*plain[:2]), calibration_error(*scaled[:2])
    return Calibration(temperature, *errors, error_by_chance(scaled[0]), reliability(*plain), reliability(*scaled))


def _stated(
    task: Task, logits: np.ndarray, targets: np.ndarray, groups: Any
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return stated probabilities, whether they came true, and the example or group of each, [M] each.

    Several statements about one example are no independent ones.
    """
    found = task.chances(logits, targets)
    if found is None:
        return None
    chances, held = found
    of = np.unique(np.asarray(groups), return_inverse=True)[1] if groups is not None else np.arange(len(chances))
    here = ~np.isnan(chances)
    of = np.broadcast_to(of.reshape(-1, *[1] * (chances.ndim - 1)), here.shape)
    return chances[here], held[here].astype(bool), of[here]


def calibration_error(chances: np.ndarray, held: np.ndarray) -> float:
    """Return the expected calibration error of probabilities [M] of what did or did not hold [M].

    It is the mean distance between probability and share in bins with as many examples each (Guo, C. et al. (2017).
    On calibration of modern neural networks. ICML). There are as many bins as keep the shares rising, because a fixed
    number overstates the error of few examples (ECE-sweep: Roelofs, R. et al. (2022). Mitigating bias in calibration
    error estimation. AISTATS).
    """
    order = np.argsort(chances, kind="stable")
    chances, held = chances[order], held[order].astype(np.float64)
    error = abs(float(chances.mean() - held.mean()))
    for bins in range(2, min(len(chances), _MOST_BINS) + 1):
        stated, share, counts = _binned(chances, held, bins)
        if (np.diff(share) < 0).any():
            break
        error = float((np.abs(stated - share) * counts).sum() / len(chances))
    return error


def error_by_chance(chances: np.ndarray) -> float:
    """Return the error that probabilities [M] which hold exactly stay below in 95 of 100 draws of what comes true.

    Bröcker, J. & Smith, L. A. (2007). Increasing the reliability of reliability diagrams. Weather and Forecasting
    22(3).
    """
    generator = np.random.default_rng(0)
    drawn = (generator.random(len(chances)) < chances for _ in range(_DRAWS))
    return float(np.quantile([calibration_error(chances, held) for held in drawn], 0.95))


def reliability(chances: np.ndarray, held: np.ndarray, groups: np.ndarray) -> list[Point]:
    """Return bins of a reliability plot, from the lowest probability to the highest, with as many examples each."""
    order = np.argsort(chances, kind="stable")
    bins = max(1, min(BINS, len(chances) // FEWEST_IN_A_BIN))
    return [
        Point(float(chances[part].mean()), float(held[part].mean()), *proportion(held[part], groups[part]), len(part))
        for part in np.array_split(order, bins)
    ]


def _binned(chances: np.ndarray, held: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean probability, share and count of bins of sorted examples."""
    counts = np.array([len(part) for part in np.array_split(chances, bins)])
    starts = np.cumsum(counts) - counts
    return np.add.reduceat(chances, starts) / counts, np.add.reduceat(held, starts) / counts, counts
