"""A head: the largest value of each channel."""

from __future__ import annotations

from torch import Tensor

from headstart.heads.contract import Head


class Largest(Head):
    name = "toy-head"
    reads = "map"

    def pool(self, features: Tensor, mask: Tensor | None) -> Tensor:
        return features.amax((2, 3))


head = Largest
