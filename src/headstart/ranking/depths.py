"""How much each depth of a backbone knows of a task: the linear probe after every block."""

from __future__ import annotations

import time
from typing import Any

from headstart.backbones.contract import Backbone
from headstart.cut import TrainablePart
from headstart.data.dataset import Dataset
from headstart.engines.contract import Engine
from headstart.events import Listener, Progress, ignore
from headstart.features.cache import FeatureCache
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

    Nothing is chosen by it; whoever chooses must give `split="validation"`.
    """
    recipe = recipe or Recipe()
    name = f"eval_{task.metric}"
    rows = []
    for keep in range(1, len(backbone.blocks) + 1):
        started = time.perf_counter()
        frozen, _ = backbone.cut(keep, keep)
        features = extract(
            dataset.examples, backbone=backbone, frozen=frozen, engine=engine, cache=cache, hashes=dataset.hashes
        )
        head = make_head(task.head or backbone.family.head, backbone.outputs_at(keep), task.outputs)
        splits = labelled_splits(features, task.encode(features.examples))
        trainable = TrainablePart([], head)
        adapt(trainable, splits, task, recipe, ignore)
        judged = splits.test if split == "test" else splits.validation
        if judged is None:
            return []
        metrics = task.metrics(predict_logits(trainable, judged), judged.targets, groups=judged.groups)
        rows.append({
            "keep": keep, "split": split, "score": metrics[name], "ci_low": metrics[f"{name}_ci_low"],
            "ci_high": metrics[f"{name}_ci_high"], "seconds": time.perf_counter() - started, "bytes": features.bytes,
        })  # fmt: skip
        listener(Progress("depths", keep, len(backbone.blocks)))
    return rows
