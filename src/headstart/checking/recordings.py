"""Recordings of the same sound: louder or softer, compressed anew, a little noisier, a little earlier or later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from headstart.checking.neighbours import Pair, close_pairs
from headstart.checking.sketch import Sketch

SHIFT = 15  # frames of 20 ms: 0.3 s
LEAST_OVERLAP = 0.7  # of the shorter one
CANDIDATE = 0.6
ALIKE = 0.96


def near_recordings(
    sketches: Sequence[Sketch], *, candidates: Iterable[Pair] = (), first: Sequence[int] = ()
) -> dict[Pair, float]:
    """Return pairs of recordings that sound the same: the correlation of their bands where they fit best.

    Args:
        candidates: pairs to compare besides those whose bands are alike on average.
        first: see `close_pairs`.
    """
    patterns = [sketch.pattern.astype(np.float32) for sketch in sketches]
    wanted = {**close_pairs(_summaries(patterns), floor=CANDIDATE, first=first), **dict.fromkeys(candidates, 0.0)}
    scores = {(one, other): alike(patterns[one], patterns[other]) for one, other in wanted}
    return {pair: score for pair, score in scores.items() if score >= ALIKE}


def _summaries(patterns: Sequence[np.ndarray]) -> np.ndarray:
    """Return mean and deviation of each band, centred over all recordings, so that what they share says nothing."""
    summaries = np.stack([np.concatenate([one.mean(0), one.std(0)]) for one in patterns])
    return (summaries - summaries.mean(0)) / (summaries.std(0) + 1e-6)


def alike(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation of two patterns [T, 24] at the shift where it is highest; 0 where lengths differ much."""
    least = LEAST_OVERLAP * max(len(one), len(other))
    best = 0.0
    for shift in range(-SHIFT, SHIFT + 1):
        a, b = one[max(shift, 0) :], other[max(-shift, 0) :]
        length = min(len(a), len(b))
        if length < max(least, 2):
            continue
        best = max(best, _correlation(a[:length], b[:length]))
    return best


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / max(np.sqrt((a * a).sum() * (b * b).sum()), 1e-6))
