"""The first step, which BERT-like and vision transformers reserve for the whole input."""

from __future__ import annotations

from torch import Tensor

from headstart.heads.contract import Head


class Cls(Head):
    name = "cls"
    reads = "sequence"

    def pool(self, features: Tensor, mask: Tensor | None) -> Tensor:
        return features[:, 0]


head = Cls
