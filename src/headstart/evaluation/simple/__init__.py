"""A linear model without pre-training, set up with the same care: what a simple model reaches on these data."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.evaluation.simple.contract import Descriptor
from headstart.preprocess.contract import Preprocess
from headstart.registry import plugins
from headstart.tasks.contract import Task
from headstart.tasks.tagging import NOWHERE
from headstart.training.loop import Labelled
from headstart.types import Example, Kind

WEIGHTS = 2_000_000  # of the linear map at most: with many classes, fewer words are counted


@dataclass(frozen=True)
class SimpleScores:
    """What a simple model said of test examples.

    Attributes:
        task: as it was settled on validation. logits: a row a test example. train_score: on what it learnt from.
        note: how it was set up. seconds: what that took.
    """

    task: Task
    logits: np.ndarray
    train_score: float
    note: str
    seconds: float


class SimpleModel:
    """A linear model for the examples of a run, which are read once, whatever part of them it then learns from.

    Args:
        task: is left as it is. balance: weigh classes by their inverse frequency.

    Raises:
        UnreadableFile: an example can no longer be read.
    """

    def __init__(
        self, descriptor: Descriptor, examples: Sequence[Example], preprocess: Preprocess, task: Task, *, balance: bool
    ) -> None:
        started = time.perf_counter()
        self._descriptor, self._task, self._balance = descriptor, task, balance
        self._read = [descriptor.read(example, preprocess) for example in examples]
        self._reading = time.perf_counter() - started

    def judge(self, train: Labelled, validation: Labelled | None, test: Labelled) -> SimpleScores:
        """Choose the strength on validation, learn from train and validation together, and judge the test examples."""
        started, task = time.perf_counter(), copy.copy(self._task)
        parts, strength, how = [train], self._descriptor.usual, "a usual one"
        if validation is not None:
            parts, strength, how = [train, validation], self._choose(task, train, validation), "the best on validation"
        describe, rows = self._described(parts)
        targets = np.concatenate([self._of_rows(part.targets) for part in parts])
        weight, bias = task.solve(rows, targets, strength=strength, balance=self._balance)
        learnt = self._logits(describe(self._of(train)), weight, bias, train.targets)
        score = task.metrics(learnt, train.targets, intervals=False)[f"eval_{task.metric}"]
        return SimpleScores(
            task, self._logits(describe(self._of(test)), weight, bias, test.targets), score,
            f"a linear model of {self._descriptor.told}, strength of the fit {strength:g} ({how})",
            self._reading + time.perf_counter() - started,
        )  # fmt: skip

    def _choose(self, task: Task, train: Labelled, validation: Labelled) -> float:
        """Return the strength with the lowest loss on validation, and settle the task there."""
        describe, rows = self._described([train])
        held_out, targets = describe(self._of(validation)), self._of_rows(train.targets)
        found: dict[float, np.ndarray] = {}
        for strength in self._descriptor.strengths:
            weight, bias = task.solve(rows, targets, strength=strength, balance=self._balance)
            found[strength] = self._logits(held_out, weight, bias, validation.targets)

        def loss(strength: float) -> float:
            return task.metrics(found[strength], validation.targets, intervals=False)["eval_loss"]

        best = min(found, key=loss)
        task.settle(found[best], validation.targets)
        return best

    def _described(self, parts: Sequence[Labelled]) -> tuple[Any, Any]:
        """Return how to describe examples, and the description of those to learn from."""
        read = [one for part in parts for one in self._of(part)]
        describe = self._descriptor.learn(read, width=WEIGHTS // self._task.outputs)
        return describe, describe(read)

    def _of(self, part: Labelled) -> list[Any]:
        return [self._read[index] for index in part.indices]

    def _of_rows(self, targets: np.ndarray) -> np.ndarray:
        """Return the targets of the rows of a description: those of words, where each word has a row."""
        return targets[targets != NOWHERE] if self._descriptor.per_step else targets

    def _logits(self, rows: Any, weight: np.ndarray, bias: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return the outputs for rows in the form of a network's, [N, K] or [N, T, K]."""
        found = np.asarray(rows @ weight.T + bias, np.float32)
        if not self._descriptor.per_step:
            return found
        logits = np.zeros((*targets.shape, len(bias)), np.float32)
        logits[targets != NOWHERE] = found
        return logits


def descriptor_for(kind: Kind, *, per_step: bool) -> Descriptor | None:
    """Return what describes examples of a kind, None where nothing does."""
    fitting = (one for one in plugins("evaluation.simple").values() if (one.kind, one.per_step) == (kind, per_step))
    return next(fitting, None)
