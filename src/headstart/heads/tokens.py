"""Every step by itself: what transformers' token classifiers read. Steps that are padding give zeros."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from headstart.heads.contract import Head


class Tokens(Head):
    name = "tokens"
    reads = "sequence"
    per_step = True

    def pool(self, features: Tensor, mask: Tensor | None) -> Tensor:
        return features

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        outputs = super().forward(features)
        return outputs * features[self.mask][:, :, None].to(outputs.dtype) if self.mask else outputs


head = Tokens
