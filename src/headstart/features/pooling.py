"""One vector an example out of features: what the linear layer of a head would read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from headstart.features.extract import BATCH, FeatureSet
from headstart.heads.contract import Head


@torch.no_grad()
def pooled(features: FeatureSet, head: Head, rows: Sequence[int] | None = None) -> np.ndarray:
    """Return [N, D]: the features of these examples, or of all, as `head` pools them."""
    rows = range(len(features)) if rows is None else rows
    places = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    head.eval()
    return np.concatenate([head.pooled(features.batch(list(one))).numpy() for one in places])
