"""How much each depth of a backbone knows of a task: the linear probe after every block, from one pass."""

from __future__ import annotations

import copy
import time
from typing import Any

from headstart.backbones.contract import Backbone
from headstart.cut import TrainablePart
from headstart.data.dataset import Dataset
from headstart.engines.contract import Engine
from headstart.events import Listener, Progress, ignore
from headstart.features.cache import FeatureCache
from headstart.features.depths import pooled_depths, pooled_name, poolings
from headstart.features.extract import extract
from headstart.heads.contract import make_head
from headstart.tasks.contract import Task
from headstart.training.adapt import adapt, labelled_splits
from headstart.training.loop import predict_logits
from headstart.training.recipe import Recipe
from headstart.types import Split


def probe_depths(
    dataset: Dataset, backbone: Backbone, task: Task, *, engine: Engine, cache: FeatureCache, split: Split,
    recipe: Recipe | None = None, listener: Listener = ignore,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return a row for each depth: `keep`, `split`, `score`, `ci_low`, `ci_high`, `seconds` and `bytes`.

    What is read after a block is pooled as the family's head does it, where that pooling has no weights. Nothing is
    chosen by the rows; whoever chooses must give `split="validation"`.
    """
    name = f"eval_{task.metric}"
    features = extract(
        dataset.examples, backbone=backbone, frozen=pooled_depths(backbone), engine=engine, cache=cache,
        hashes=dataset.hashes,
    )  # fmt: skip
    splits = labelled_splits(features, task.encode(features.examples))
    judged = splits.test if split == "test" else splits.validation
    if judged is None:
        return []
    rows = []
    for keep in range(1, len(backbone.blocks) + 1):
        started, settled = time.perf_counter(), copy.deepcopy(task)
        vector = pooled_name(_pooling(backbone, keep), keep)
        probe = TrainablePart([], make_head("linear", {vector: features.specs[vector]}, task.outputs))
        adapt(probe, splits, settled, recipe or Recipe(), ignore)
        metrics = settled.metrics(predict_logits(probe, judged), judged.targets, groups=judged.groups)
        rows.append({
            "keep": keep, "split": split, "score": metrics[name], "ci_low": metrics[f"{name}_ci_low"],
            "ci_high": metrics[f"{name}_ci_high"], "seconds": time.perf_counter() - started,
            "bytes": 2 * len(features) * features.specs[vector].width,
        })  # fmt: skip
        listener(Progress("depths", keep, len(backbone.blocks)))
    return rows


def _pooling(backbone: Backbone, keep: int) -> str:
    known = poolings(backbone, keep)
    return backbone.family.head if backbone.family.head in known else known[0]
