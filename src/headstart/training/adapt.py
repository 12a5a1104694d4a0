"""Adapt what lies above the cut: the head first, then the thawed blocks with as many seeds as the recipe asks for."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
import torch

from headstart.cut import TrainablePart, hash_tensors
from headstart.errors import DataError
from headstart.events import EpochEnded, Listener
from headstart.features.extract import FeatureSet
from headstart.tasks.contract import Task
from headstart.training.checkpoint import Checkpoint
from headstart.training.loop import (
    DEFAULT_EPOCHS,
    UNKEPT,
    HeldOut,
    Labelled,
    Solved,
    predict_logits,
    solve_head,
    train_thawed,
)
from headstart.training.recipe import Recipe


@dataclass(frozen=True)
class Splits:
    """The labelled features of a run; validation and test may be missing."""

    train: Labelled
    validation: Labelled | None
    test: Labelled | None

    @property
    def outside_test(self) -> Labelled:
        """Train and then validation, as one."""
        parts = [part for part in (self.train, self.validation) if part is not None]
        indices, targets = ([getattr(part, name) for part in parts] for name in ("indices", "targets"))
        return Labelled(self.train.features, np.concatenate(indices), np.concatenate(targets))


@dataclass(frozen=True)
class Adapted:
    """What training did.

    Attributes:
        history: all events. seed_scores: the validation metric of each seed.
        solved: how the head was solved, before blocks were thawed. held_out: what the task was settled on.
        probe: the state of the linear probe, before blocks were thawed; None where none were. probe_task: the task
            as it was settled for the probe.
    """

    history: list[EpochEnded]
    seed_scores: list[float]
    probe: TrainablePart | None
    probe_task: Task
    solved: Solved
    held_out: HeldOut | None


def adapt(
    trainable: TrainablePart, splits: Splits, task: Task, recipe: Recipe, listener: Listener, *,
    epochs_chosen: bool = False, checkpoint: Checkpoint = UNKEPT,
) -> Adapted:  # fmt: skip
    """Train in place, settle the task, and return what happened; the seed that does best on validation is kept.

    Args:
        epochs_chosen: the recipe's number of epochs was chosen on these data, so that no validation is needed.
        checkpoint: where the training goes on after a kill; what the head's solution takes is not kept.
    """
    checkpoint = checkpoint.of(identity(trainable, splits, recipe))
    history: list[EpochEnded] = []

    def hear(event: EpochEnded) -> None:
        history.append(event)
        listener(event)

    solved = _heard(solve_head(trainable, task, recipe, train=splits.train, validation=splits.validation), hear)
    if not len(trainable.blocks):
        return Adapted(history, [], None, task, solved, solved.held_out)
    probe, probe_task = copy.deepcopy(trainable), copy.copy(task)
    if splits.validation is None and not epochs_chosen:  # nothing says when to stop
        recipe = recipe.replace(epochs=min(recipe.epochs, DEFAULT_EPOCHS))
    held_out, outcomes = None, []
    for seed in range(recipe.seed, recipe.seed + recipe.seeds):
        trainable.load_state_dict(probe.state_dict())
        for event in train_thawed(
            trainable, task, recipe, train=splits.train, validation=splits.validation, seed=seed,
            checkpoint=checkpoint.at(f"seed {seed}"),
        ):  # fmt: skip
            hear(event)
        outcomes.append((_validation(trainable, splits, task), copy.deepcopy(trainable.state_dict())))
    trainable.load_state_dict(min(outcomes, key=lambda one: one[0]["eval_loss"])[1])
    if splits.validation is not None:
        held_out = HeldOut(splits.validation, predict_logits(trainable, splits.validation))
        task.settle(held_out.logits, splits.validation.targets)
    scores = [metrics[f"eval_{task.metric}"] for metrics, _ in outcomes if len(metrics) > 1]
    return Adapted(history, scores, probe, probe_task, solved, held_out)


def _heard(events: Generator[EpochEnded, None, Solved], hear: Callable[[EpochEnded], None]) -> Solved:
    """Hand on all events, and return what came with their end."""
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            return end.value
        hear(event)


def identity(trainable: TrainablePart, splits: Splits, recipe: Recipe) -> str:
    """Return a hash of what a training starts from: weights, examples, targets and settings."""
    names = [example.name for example in splits.train.features.examples]
    tensors = dict(trainable.state_dict())
    for number, part in enumerate((splits.train, splits.validation, splits.test)):
        if part is not None:
            tensors[f"indices {number}"] = torch.from_numpy(part.indices)
            tensors[f"targets {number}"] = torch.from_numpy(part.targets)
    return hash_tensors(json.dumps([recipe.to_dict(), names]), tensors)


def _validation(trainable: TrainablePart, splits: Splits, task: Task) -> dict[str, float]:
    if splits.validation is None:
        return {"eval_loss": 0.0}
    return task.metrics(predict_logits(trainable, splits.validation), splits.validation.targets, intervals=False)


def labelled_splits(features: FeatureSet, targets: np.ndarray) -> Splits:
    """Return the splits of a feature set; `targets` has a row for each of its examples."""

    def part(name: str) -> Labelled | None:
        indices = np.array([i for i, e in enumerate(features.examples) if e.split == name], dtype=np.int64)
        return Labelled(features, indices, targets[indices]) if len(indices) else None

    train = part("train")
    if train is None:
        raise DataError("no training example can be read", "replace the files that were named as skipped")
    return Splits(train, part("validation"), part("test"))
