"""A feature cache of toy rows whose values follow from their names, so that every row can be checked."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from headstart.features.cache import FeatureCache

FACTS = {"weights": "toy"}
RAGGED = ("x",)
CHUNK = 4


def row_of(name: str) -> dict[str, np.ndarray]:
    """Return a row of one to three steps, as random as the hash of its name."""
    digest = hashlib.sha256(name.encode()).digest()
    return {"x": np.frombuffer(digest * 3, np.uint8)[: 16 * (1 + digest[0] % 3)].reshape(-1, 16).copy()}


def names(count: int) -> list[str]:
    return [hashlib.md5(str(number).encode()).hexdigest() for number in range(count)]


def fill(folder: Path, wanted: Sequence[str]) -> int:
    """Store what is missing in chunks, as a frozen pass does, check every row, and return how many were computed."""
    cache = FeatureCache(folder)
    entry, computed = cache.entry(FACTS, RAGGED), 0
    while missing := entry.missing(wanted):
        with entry.claimed(missing) as mine:
            todo = sorted(entry.missing(mine))
            for start in range(0, len(todo), CHUNK):
                chunk = todo[start : start + CHUNK]
                entry.append(chunk, [row_of(name) for name in chunk])
                computed += len(chunk)
        if missing - mine:
            entry.wait(missing - mine)
    for name, (shard, position) in zip(wanted, entry.rows(wanted), strict=True):
        np.testing.assert_array_equal(shard.row(position)["x"], row_of(name)["x"])
    cache.close()
    return computed


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.safetensors"))
