"""What an engine promises: it runs a frozen part, and states its numerics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from headstart.cut import Features, FrozenPart

Runner = Callable[[Features], Features]


class Engine(ABC):
    """One way to run the frozen part. An engine is one file; `engine = MyEngine()` in it registers it."""

    name: str

    @property
    @abstractmethod
    def numerics(self) -> str:
        """Library, version, precision, threads and instruction set: equal numerics give equal features, bit for bit."""

    @abstractmethod
    def available(self) -> bool:
        """Say whether the engine's library is installed."""

    @abstractmethod
    def prepare(self, frozen: FrozenPart, sample: Features) -> Runner:
        """Return a function from inputs to what crosses the cut, both in main memory; trace it with `sample`.

        Raises:
            ModelError: the engine cannot run this network.
        """
