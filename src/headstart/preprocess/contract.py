"""What preprocessing promises: examples become arrays exactly as the backbone was trained, one by one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstart.types import Example, Kind


class Preprocess(ABC):
    """Turn examples into the arrays a backbone reads.

    Attributes:
        kind: which examples it reads.
        fingerprint: changes whenever the same example would become another array.
    """

    kind: Kind
    fingerprint: str

    @abstractmethod
    def decode(self, example: Example) -> Any:
        """Return one example as it is before batching.

        Raises:
            UnreadableFile: the file is damaged, empty, or not what its name says.
        """

    @abstractmethod
    def batch(self, decoded: Sequence[Any]) -> dict[str, np.ndarray]:
        """Return the backbone's inputs by name for decoded examples, batch first, padded where lengths differ."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the files that transformers reads the same preprocessing from."""

    def size(self, example: Example) -> int:
        """Return a cheap measure of the example's length, to batch equal lengths together; 0 where all are equal."""
        return 0

    def shortened(self, example: Example) -> bool:
        """Say whether the example is longer than the backbone reads, so that its end is cut off."""
        return False
