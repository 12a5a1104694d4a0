"""Measure one backbone at every depth: one pass, then scores that train no network."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from headstart.backbones.contract import Backbone
from headstart.cut import FrozenPart, TrainablePart
from headstart.data.dataset import Dataset
from headstart.engines.contract import Engine
from headstart.events import Listener, Progress, ignore
from headstart.features.cache import FeatureCache
from headstart.features.depths import pooled_depths, pooled_name, poolings
from headstart.features.extract import FeatureSet, extract
from headstart.heads.contract import make_head
from headstart.ranking.candidates import Candidate, Cut
from headstart.ranking.scores.probe import out_of_fold
from headstart.registry import plugins
from headstart.tasks.contract import Task
from headstart.training.folds import cross_validate
from headstart.training.loop import DEFAULT_STRENGTH
from headstart.training.recipe import Recipe
from headstart.types import Example, groups_of


@dataclass(frozen=True)
class Conditions:
    """What all candidates have in common: examples, targets and folds, and how features are computed.

    Attributes:
        examples: in the order in which they are taken where not all are; none of them from the test split.
        folds: the fold of each, by name; groups are never divided.
    """

    dataset: Dataset
    examples: tuple[Example, ...]
    folds: dict[str, int]
    task: Task
    recipe: Recipe
    engine: Engine
    cache: FeatureCache
    listener: Listener = field(default=ignore, repr=False)

    def features(self, backbone: Backbone, frozen: FrozenPart, examples: Sequence[Example]) -> FeatureSet:
        """Return what crosses the cut for these examples, from the cache where it is there."""
        return extract(
            examples, backbone=backbone, frozen=frozen, engine=self.engine, cache=self.cache,
            storage=self.recipe.storage, hashes=self.dataset.hashes, listener=self.listener,
        )  # fmt: skip

    def folds_of(self, examples: Sequence[Example]) -> np.ndarray:
        """Return the fold of each example, [N]."""
        return np.array([self.folds[example.name] for example in examples])


def measure_depths(backbone: Backbone, conditions: Conditions, examples: Sequence[Example]) -> list[Candidate]:
    """Return a candidate for each depth and pooling, whose head alone would be trained.

    Its score is that of the linear probe: each fold is judged by an exact solution on the others.
    """
    started = time.perf_counter()
    features = conditions.features(backbone, pooled_depths(backbone), examples)
    vectors = features.batch(range(len(features)))
    took = time.perf_counter() - started
    found = []
    for depth in range(1, len(backbone.blocks) + 1):
        for pooling in poolings(backbone, depth):
            values = vectors[pooled_name(pooling, depth)].numpy()
            found.append(_candidate(backbone, depth, pooling, values, features.examples, conditions, took))
        conditions.listener(Progress("depths", depth, len(backbone.blocks)))
    return found


def _candidate(
    backbone: Backbone, depth: int, pooling: str, vectors: np.ndarray, examples: Sequence[Example],
    conditions: Conditions, pass_seconds: float,
) -> Candidate:  # fmt: skip
    started, task = time.perf_counter(), conditions.task
    targets, folds = task.encode(examples), conditions.folds_of(examples)
    logits = out_of_fold(vectors, targets, task, folds, DEFAULT_STRENGTH)
    score, low, high = _scored(task, logits, targets, examples)
    measures = {
        name.replace("-", "_"): score_.measure(vectors, targets, task=task, folds=folds)
        for name, score_ in plugins("ranking.scores").items()
        if name != "probe"
    }
    return Candidate(
        backbone.name, depth, depth, pooling, score, low, high,
        seconds=pass_seconds + time.perf_counter() - started, bytes=2 * vectors.size,
        measures={**measures, "probe": score}, trained=(vectors.shape[1] + 1) * task.outputs,
    )  # fmt: skip


def train_candidate(
    backbone: Backbone, cut: Cut, conditions: Conditions, examples: Sequence[Example], *, epochs: int,
    measures: Mapping[str, float | None],
) -> Candidate:  # fmt: skip
    """Train what lies above the cut on all folds but one, once a fold, and judge it there."""
    started, task = time.perf_counter(), conditions.task
    frozen, blocks = backbone.cut(cut.freeze, cut.keep)
    features = conditions.features(backbone, frozen, examples)
    head = make_head(cut.head, backbone.outputs_at(cut.keep), task.outputs, dropout=conditions.recipe.dropout)
    trainable = TrainablePart(blocks, head)
    targets, folds = task.encode(features.examples), conditions.folds_of(features.examples)
    recipe = conditions.recipe.replace(epochs=epochs, folds=int(folds.max()) + 1)
    found = cross_validate(trainable, features, targets, folds.tolist(), task, recipe)
    judged = [features.examples[index] for index in found.judged.indices]
    score, low, high = _scored(found.task, found.logits, found.judged.targets, judged)
    return Candidate(
        *cut, score, low, high, seconds=time.perf_counter() - started, bytes=features.bytes, confirmed=True,
        measures=measures, epochs=epochs if blocks else 0,
        trained=sum(parameter.numel() for parameter in trainable.parameters()),
    )  # fmt: skip


def _scored(
    task: Task, logits: np.ndarray, targets: np.ndarray, examples: Sequence[Example]
) -> tuple[float, float, float]:
    metrics: dict[str, Any] = task.metrics(logits, targets, groups=groups_of(examples))
    name = f"eval_{task.metric}"
    return metrics[name], metrics[f"{name}_ci_low"], metrics[f"{name}_ci_high"]
