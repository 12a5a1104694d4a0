"""The first step beside the mean of the others, as DINOv2 (Oquab et al. 2023, arXiv:2304.07193) probes its features."""

from __future__ import annotations

import torch
from torch import Tensor

from headstart.heads.contract import Head, masked_mean


class ClsMean(Head):
    name = "cls-mean"
    reads = "sequence"

    def pooled_width(self, width: int) -> int:
        return 2 * width

    def pool(self, features: Tensor, mask: Tensor | None) -> Tensor:
        rest = masked_mean(features[:, 1:], None if mask is None else mask[:, 1:])
        return torch.cat([features[:, 0], rest], dim=1)


head = ClsMean
