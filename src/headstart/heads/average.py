"""The global average over a map, as convolutional networks end in."""

from __future__ import annotations

from torch import Tensor

from headstart.heads.contract import Head


class Average(Head):
    name = "average"
    reads = "map"

    def pool(self, features: Tensor, mask: Tensor | None) -> Tensor:
        return features.mean((2, 3))


head = Average
