"""Which vectors lie close to each other, without comparing all of them one by one and within a bounded memory."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NEAREST = 5
COMPARISONS = 20_000**2
"""At most; with more vectors not all rows look for neighbours. On one core this takes some ten seconds."""
_BLOCK_NUMBERS = 1 << 24  # of a block of similarities: 64 MiB

Pair = tuple[int, int]


def close_pairs(vectors: np.ndarray, *, floor: float, first: Sequence[int] = ()) -> dict[Pair, float]:
    """Return pairs of rows whose cosine similarity is at least `floor`: the nearest of each row.

    Args:
        vectors: [N, D], of any length each.
        first: rows that look for neighbours before all others, where not all can.
    """
    if len(vectors) < 2:
        return {}
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    rows = np.array(list(dict.fromkeys([*first, *range(len(unit))]))[: COMPARISONS // len(unit)])
    found: dict[Pair, float] = {}
    step = max(1, _BLOCK_NUMBERS // len(unit))
    for start in range(0, len(rows), step):
        _nearest_of(unit, rows[start : start + step], floor, found)
    return found


def _nearest_of(unit: np.ndarray, rows: np.ndarray, floor: float, found: dict[Pair, float]) -> None:
    similarity = unit[rows] @ unit.T
    similarity[np.arange(len(rows)), rows] = -1
    count = min(NEAREST, len(unit) - 1)
    nearest = np.argpartition(similarity, -count, axis=1)[:, -count:]
    values = np.take_along_axis(similarity, nearest, axis=1)
    for place, which in zip(*np.nonzero(values >= floor), strict=True):
        one, other = int(rows[place]), int(nearest[place, which])
        found[min(one, other), max(one, other)] = float(values[place, which])
