"""BERT's own pooler: the first step through a dense layer and tanh. Transformers' task classes read this form."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from headstart.heads.contract import Head, features_of
from headstart.types import Spec


class Pooler(Head):
    name = "pooler"
    reads = "sequence"

    def __init__(self, outputs: Mapping[str, Spec], classes: int, *, dropout: float = 0.1) -> None:
        super().__init__(outputs, classes, dropout=dropout)
        width = features_of(outputs)[1].width
        self.dense = nn.Linear(width, width)
        # Start as the identity, so that the first linear solution reads the features themselves.
        nn.init.eye_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)

    def pool(self, features: Tensor, mask: Tensor | None) -> Tensor:
        return torch.tanh(self.dense(features[:, 0]))


head = Pooler
