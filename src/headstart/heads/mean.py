"""The mean over all real steps: the best single vector of most sentence encoders, and of speech."""

from __future__ import annotations

from torch import Tensor

from headstart.heads.contract import Head, masked_mean


class Mean(Head):
    name = "mean"
    reads = "sequence"

    def pool(self, features: Tensor, mask: Tensor | None) -> Tensor:
        return masked_mean(features, mask)


head = Mean
