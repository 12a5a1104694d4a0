"""One vector an example out of features: what the linear layer of a head would read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from headstart.cut import TrainablePart, run_blocks, to_device
from headstart.features.extract import BATCH, FeatureSet


@torch.no_grad()
def pooled(features: FeatureSet, part: TrainablePart, rows: Sequence[int] | None = None) -> np.ndarray:
    """Return [N, D]: features run through the blocks of `part` as they are, and pooled by its head.

    Args:
        rows: which examples, in order; None takes all.
    """
    rows = range(len(features)) if rows is None else rows
    part.eval()
    found = []
    for start in range(0, len(rows), BATCH):
        batch = to_device(features.batch(list(rows[start : start + BATCH])), part.device)
        found.append(part.head.pooled(run_blocks(part.blocks, batch)).cpu().numpy())
    return np.concatenate(found)
