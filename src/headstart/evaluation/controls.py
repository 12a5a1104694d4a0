"""What the adapted model is compared with, set up with the same care and judged on the same test examples."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.backbones.contract import Backbone
from headstart.cut import TrainablePart
from headstart.device import resolve_device
from headstart.events import EpochEnded, Listener, Progress, ignore
from headstart.features.cache import FeatureCache
from headstart.features.extract import FeatureSet, extract
from headstart.heads.contract import make_head
from headstart.record import Control
from headstart.registry import plugin
from headstart.tasks.contract import Task
from headstart.training.adapt import Splits
from headstart.training.loop import Labelled, TimeLimit, predict_logits, train_thawed
from headstart.training.recipe import Recipe

LEARNING_RATES = (3e-4, 1e-3, 3e-3)
_TRIAL_SHARE = 0.15  # of the time limit, for each learning rate that is tried
_WORTH_TRIALS = 90.0  # seconds below which trials would eat the time they are to save
_PATIENCE = 10
_RECALIBRATION = 128  # examples; their maps have pixels enough for good averages
_MOST_EPOCHS = 200


@dataclass(frozen=True)
class Answers:
    """What a control said of the test examples: `task` reads `logits`, a row each."""

    control: Control
    task: Task
    logits: np.ndarray


def answers_of(task: Task, logits: np.ndarray, judged: Labelled, **facts) -> Answers:
    """Return the answers with the score that they reach on what is judged."""
    metrics = task.metrics(logits, judged.targets, groups=judged.groups)
    name = f"eval_{task.metric}"
    control = Control(metrics[name], metrics[f"{name}_ci_low"], metrics[f"{name}_ci_high"], **facts)
    return Answers(control, copy.copy(task), logits)


def majority(task: Task, train: np.ndarray, test: Labelled, steps: Sequence[int] = ()) -> Answers:
    """Always give the answer that is best without looking: the most frequent class, or the mean.

    Args:
        steps: the shape of one example's outputs before the last axis, where it has several.
    """
    logits = np.broadcast_to(task.uninformed(train), (len(test), *steps, task.outputs))
    return answers_of(task, logits, test, note="always the answer that is best for the training examples as a whole")


class FromScratch:
    """The same architecture with random weights, all of it trained on the same examples.

    Inputs are decoded once beforehand, so that its time goes into training alone. Every learning rate of a grid is
    tried for a share of the time, the best on validation gets the rest from a new start. BatchNorm trains with the
    usual momentum and is recalibrated on training examples before every evaluation: with few steps its
    running averages would otherwise still be those of the random start.
    """

    def __init__(
        self, backbone: Backbone, task: Task, head: str, *, keep: int, recipe: Recipe, features: FeatureSet,
        listener: Listener = ignore,
    ) -> None:  # fmt: skip
        self.backbone, self.keep, self.head, self.task = backbone, keep, head, copy.copy(task)
        self.recipe, self.listener = recipe, listener
        self._examples = features.examples
        self._rate: float | None = None

    def __enter__(self) -> FromScratch:
        self._place = tempfile.TemporaryDirectory(prefix="headstart-")
        frozen, _ = self.backbone.cut(0, self.keep)
        self.inputs = extract(
            self._examples, backbone=self.backbone, frozen=frozen, engine=plugin("engines", "torch"),
            cache=FeatureCache(Path(self._place.name)),
        )  # fmt: skip
        return self

    def __exit__(self, *error: object) -> None:
        self._place.cleanup()

    def run(self, splits: Splits, test: Labelled, *, seconds: float, name: str) -> Answers:
        """Train for at most `seconds`, trials included, and judge on the test examples."""
        train, test = replace(splits.train, features=self.inputs), replace(test, features=self.inputs)
        validation = splits.validation and replace(splits.validation, features=self.inputs)
        started = time.perf_counter()
        rate, chosen = self._choose_rate(train, validation, seconds)
        remaining = seconds - (time.perf_counter() - started)
        part, epochs, converged = self._train(train, validation, rate, remaining, name)
        took = time.perf_counter() - started
        if validation:
            self.task.settle(predict_logits(part, validation), validation.targets)
        train_score = self.task.metrics(predict_logits(part, train), train.targets, intervals=False)
        return answers_of(
            self.task, predict_logits(part, test), test,
            seconds=took, epochs=round(epochs, 2), train_score=train_score[f"eval_{self.task.metric}"],
            converged=converged, note=f"same architecture, random weights, AdamW, learning rate {rate:g} ({chosen})",
        )  # fmt: skip

    def _choose_rate(self, train: Labelled, validation: Labelled | None, seconds: float) -> tuple[float, str]:
        """Try a grid where there is time and something to choose by; a choice made earlier is free."""
        if self._rate is None:
            if validation is None or seconds < _WORTH_TRIALS:
                return LEARNING_RATES[1], "a usual one"
            self._rate = min(LEARNING_RATES, key=lambda rate: self._try(train, validation, rate, seconds))
        return self._rate, "the best of " + ", ".join(f"{rate:g}" for rate in LEARNING_RATES) + " on validation"

    def _try(self, train: Labelled, validation: Labelled, rate: float, seconds: float) -> float:
        part, _, _ = self._train(train, validation, rate, _TRIAL_SHARE * seconds, "trial")
        metrics = self.task.metrics(predict_logits(part, validation), validation.targets, intervals=False)
        return metrics["eval_loss"]

    def _train(
        self, train: Labelled, validation: Labelled | None, rate: float, seconds: float, name: str
    ) -> tuple[TrainablePart, float, bool]:
        """Return the trained part, its epochs, and whether validation had stopped improving."""
        torch.manual_seed(self.recipe.seed)
        part = self._fresh().to(resolve_device(self.recipe.device))
        limit = TimeLimit(seconds)
        recipe = self.recipe.replace(
            learning_rate=rate, block_learning_rate=rate, layer_decay=1.0, weight_decay=0.05, epochs=_MOST_EPOCHS,
            patience=_PATIENCE,
        )  # fmt: skip
        events: list[EpochEnded] = []
        for event in train_thawed(
            part, self.task, recipe, train=train, validation=validation, seed=self.recipe.seed, limit=limit,
            before_look=lambda: recalibrate(part, train),
        ):  # fmt: skip
            events.append(event)
            self.listener(Progress(f"control: {name}", round(limit.share() * 100), 100))
        return part, events[-1].epoch, not limit.over()

    def _fresh(self) -> TrainablePart:
        family = self.backbone.family
        network = family.build(copy.deepcopy(self.backbone.config))
        family_blocks = Backbone(
            name="from scratch", family=family, network=network, preprocess=self.backbone.preprocess,
            source=self.backbone.source,
        )  # fmt: skip
        _, blocks = family_blocks.cut(0, self.keep)
        head = make_head(self.head, family_blocks.outputs_at(self.keep), self.task.outputs)
        nn.init.trunc_normal_(head.linear.weight, std=0.02)
        for module in batch_norms(network):
            module.momentum = 0.1
        return TrainablePart(blocks, head, fresh=True)


def batch_norms(network: nn.Module) -> list[Any]:
    """Return all BatchNorm modules of a network."""
    return [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


@torch.no_grad()
def recalibrate(part: TrainablePart, train: Labelled) -> None:
    """Set the statistics of BatchNorm to those of the training examples under the present weights."""
    norms = batch_norms(part)
    if not norms:
        return
    part.eval()
    before = [module.momentum for module in norms]
    for module in norms:
        module.reset_running_stats()
        module.momentum = None  # a plain average over all batches
        module.train()
    spread = np.linspace(0, len(train) - 1, min(len(train), _RECALIBRATION)).astype(int)
    for features, _ in train.batches(32, spread, device=part.device):
        part(features)
    for module, momentum in zip(norms, before, strict=True):
        module.momentum = momentum
    part.eval()
