"""Divide names into train and test once and for all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator


def fixed_split(names: Iterable[str], *, train: float = 0.6) -> Iterator[tuple[str, str]]:
    """Yield (`train` or `test`, name): the order by hash decides, the same everywhere and for ever."""
    ordered = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    for place, name in enumerate(ordered):
        yield ("train" if place < round(train * len(ordered)) else "test"), name
