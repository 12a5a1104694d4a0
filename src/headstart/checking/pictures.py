"""Pictures that show the same: scaled, cropped a little, brightened or compressed anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product

import numpy as np

from headstart.checking.neighbours import Pair, close_pairs
from headstart.checking.sketch import Sketch

SIDE = 24
SCALES = (1.0, 0.94, 0.88)
CANDIDATE = 0.75
ALIKE = 0.965
# Where different pictures are much alike (digits, say), duplicates have to be more so: four times nearer than the
# nearest one of most pictures is. What was merely compressed anew passes even then.
NEARER = 0.25
MOST_ALIKE = 0.985


def near_pictures(
    sketches: Sequence[Sketch], *, candidates: Iterable[Pair] = (), first: Sequence[int] = ()
) -> dict[Pair, float]:
    """Return pairs of pictures of which one is the other, or a part of it: the correlation of their pixels.

    Args:
        candidates: pairs to compare besides those that look alike at 48 pixels a side.
        first: see `close_pairs`.
    """
    whole = np.stack([_normalised(_scaled(sketch.pattern, None)) for sketch in sketches])
    close = close_pairs(whole, floor=CANDIDATE, first=first)
    wanted = {**close, **dict.fromkeys(candidates, 0.0)}
    least = _least(close, len(sketches))
    windows: dict[int, np.ndarray] = {}
    found = {}
    for one, other in wanted:
        score = whole[one] @ whole[other]
        if score < least:
            for index in (one, other):
                if index not in windows:
                    windows[index] = _windows(sketches[index].pattern)
            score = max((windows[one] @ whole[other]).max(), (windows[other] @ whole[one]).max())
        if score >= least:
            found[one, other] = float(score)
    return found


def _least(close: Mapping[Pair, float], count: int) -> float:
    """Return the correlation from which on pictures count as the same, by how alike the nearest ones are here."""
    nearest = np.full(count, CANDIDATE)
    for pair, score in close.items():
        nearest[list(pair)] = np.maximum(nearest[list(pair)], score)
    return float(np.clip(1 - NEARER * (1 - np.quantile(nearest, 0.25)), ALIKE, MOST_ALIKE))


def _windows(pattern: np.ndarray) -> np.ndarray:
    """Return a picture's parts, from the corners, the edges and the middle, each at the size of a whole one."""
    side = len(pattern)
    boxes = []
    for width, height in product(SCALES, SCALES):
        lefts, tops = ({part * side * (1 - size) for part in (0, 0.5, 1)} for size in (width, height))
        boxes += [(left, top, left + side * width, top + side * height) for left, top in product(lefts, tops)]
    return np.stack([_normalised(_scaled(pattern, box)) for box in boxes])


def _scaled(pattern: np.ndarray, box: tuple[float, float, float, float] | None) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.fromarray(pattern).resize((SIDE, SIDE), Image.Resampling.BILINEAR, box))


def _normalised(pixels: np.ndarray) -> np.ndarray:
    """Return pixels as a vector of length one, whatever the brightness, the contrast, and the hue that all share."""
    vector = (pixels - pixels.mean((0, 1), dtype=np.float32)).ravel()
    return vector / max(float(np.linalg.norm(vector)), 1e-6)
