"""Train what lies above the cut, on features that are data like any other.

First the head alone, as a linear problem with an exact solution on pooled features; then, where blocks are thawed,
head and blocks together with lower rates further down ("linear probe, then fine-tune", Kumar et al. 2022,
arXiv:2202.10054). Both are functions that yield events; printing, bars and reports read that stream.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from headstart.cut import Features, TrainablePart, run_blocks, to_device
from headstart.events import EpochEnded
from headstart.features.extract import FeatureSet
from headstart.tasks.contract import Task
from headstart.training.recipe import Recipe
from headstart.types import groups_of

STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)
DEFAULT_STRENGTH = 0.01  # where no validation split is possible; measured on photos, texts and commands
DEFAULT_EPOCHS = 5  # likewise
_EVALUATION_BATCH = 32


@dataclass(frozen=True)
class Labelled:
    """Features and targets of one split.

    Attributes:
        indices: positions in `features`. targets: one row an index.
    """

    features: FeatureSet
    indices: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def groups(self) -> list[str] | None:
        """The group of each example, one without a group being its own; None where there are no groups."""
        return groups_of([self.features.examples[index] for index in self.indices])

    def batches(
        self, size: int, order: np.ndarray | None = None, *, device: torch.device | None = None
    ) -> Iterator[tuple[Features, Tensor]]:
        """Yield features and targets on `device`, `size` at a time, in the given order of positions."""
        device = device or torch.device("cpu")
        order = np.arange(len(self)) if order is None else order
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            features = to_device(self.features.batch(self.indices[chosen]), device)
            yield features, torch.from_numpy(self.targets[chosen]).to(device)


@dataclass(frozen=True)
class HeldOut:
    """What was said of examples by weights that had not learnt from them; the test is never among them.

    Attributes:
        logits: before any calibration, a row for each of `labelled`.
    """

    labelled: Labelled
    logits: np.ndarray


@torch.no_grad()
def predict_logits(trainable: TrainablePart, labelled: Labelled) -> np.ndarray:
    """Return the head's raw outputs for a split, [N, K] or [N, T, K], in evaluation mode."""
    trainable.eval()
    batches = labelled.batches(_EVALUATION_BATCH, device=trainable.device)
    return stacked([trainable(batch).cpu().numpy() for batch, _ in batches])


@torch.no_grad()
def pooled_vectors(trainable: TrainablePart, labelled: Labelled) -> np.ndarray:
    """Return what the head's linear layer reads, [N, D] or [N, T, D], in evaluation mode."""
    trainable.eval()
    batches = labelled.batches(_EVALUATION_BATCH, device=trainable.device)
    pooled = (trainable.head.pooled(run_blocks(trainable.blocks, batch)) for batch, _ in batches)
    return stacked([vectors.cpu().numpy() for vectors in pooled])


def stacked(batches: Sequence[np.ndarray]) -> np.ndarray:
    """Join batches along their first axis; those of steps are padded with zeros to the longest."""
    if batches[0].ndim < 3:
        return np.concatenate(batches)
    steps = max(batch.shape[1] for batch in batches)
    return np.concatenate([np.pad(batch, ((0, 0), (0, steps - batch.shape[1]), (0, 0))) for batch in batches])


def solve_head(
    trainable: TrainablePart, task: Task, recipe: Recipe, *, train: Labelled, validation: Labelled | None
) -> Generator[EpochEnded, None, tuple[float | None, HeldOut | None]]:
    """Give the head's linear layer its exact solution; the strength is chosen on validation.

    Where nothing is trained after it (no thawed blocks), the solution is taken on train and validation together,
    with the strength that validation chose: the split has then done its work. A head that was trained before, with
    the same classes, stays where it does better on validation than any solution.

    Returns:
        the strength, None where the earlier head stays, and what was said of the validation split before it was
        learnt from, None without one.
    """
    judged = None
    vectors, targets = pooled_vectors(trainable, train), train.targets
    best: float | None = DEFAULT_STRENGTH
    if validation is not None:
        held_out = pooled_vectors(trainable, validation)
        best, judged = yield from _choose_strength(trainable, task, recipe, vectors, train, held_out, validation)
        if not len(trainable.blocks):
            vectors, targets = stacked([vectors, held_out]), np.concatenate([targets, validation.targets])
    if best is not None:
        weight, bias = task.solve(vectors, targets, strength=best, balance=recipe.balance)
        with torch.no_grad():
            trainable.head.linear.weight.copy_(torch.from_numpy(weight))
            trainable.head.linear.bias.copy_(torch.from_numpy(bias))
    trainable.eval()
    return best, judged


def _choose_strength(
    trainable: TrainablePart, task: Task, recipe: Recipe, vectors: np.ndarray, train: Labelled, held_out: np.ndarray,
    validation: Labelled,
) -> Generator[EpochEnded, None, tuple[float | None, HeldOut]]:  # fmt: skip
    """Yield what each candidate does on validation; settle the task on the best, and return its strength and that."""
    started = time.perf_counter()
    candidates = _present(trainable.head.linear) | {
        strength: task.solve(vectors, train.targets, strength=strength, balance=recipe.balance)
        for strength in STRENGTHS
    }
    scores = {}
    for number, (strength, (weight, bias)) in enumerate(candidates.items(), len(STRENGTHS) + 1 - len(candidates)):
        metrics = task.metrics(held_out @ weight.T + bias, validation.targets, intervals=False)
        loss = task.metrics(vectors @ weight.T + bias, train.targets, intervals=False)["eval_loss"]
        scores[strength] = metrics["eval_loss"]
        yield EpochEnded("head", number, loss, metrics, time.perf_counter() - started)
    best = min(scores, key=lambda strength: scores[strength])
    weight, bias = candidates[best]
    judged = held_out @ weight.T + bias
    task.settle(judged, validation.targets)
    return best, HeldOut(validation, judged)


def _present(linear: torch.nn.Linear) -> dict[float | None, tuple[np.ndarray, np.ndarray]]:
    """Return what the layer holds as a candidate without a strength, nothing where it is new."""
    if not linear.weight.any():
        return {}
    return {None: (linear.weight.detach().cpu().numpy().copy(), linear.bias.detach().cpu().numpy().copy())}


def train_thawed(
    trainable: TrainablePart,
    task: Task,
    recipe: Recipe,
    *,
    train: Labelled,
    validation: Labelled | None,
    seed: int,
    limit: TimeLimit | None = None,
    before_look: Callable[[], None] = lambda: None,
) -> Iterator[EpochEnded]:
    """Train head and thawed blocks together, stop when validation no longer improves, and keep the best weights.

    Randomness is a function of (seed, step) and order of (seed, epoch), so that equal features and an equal seed
    give bit-identical weights. Epoch 0 is the state before, unless that is random: training is kept where it helps.

    Args:
        limit: ends the training in the middle of an epoch, and lets the learning rates fall over its time.
        before_look: called before every evaluation.
    """
    steps = math.ceil(len(train) / recipe.batch_size)
    epochs = recipe.epochs
    optimizer = _optimizer(trainable, recipe)
    rates = [group["lr"] for group in optimizer.param_groups]
    keeper = _BestKeeper(trainable, task, validation, before_look)
    if not trainable.fresh:
        yield keeper.look(0, float("nan"))
    for epoch in range(epochs):
        trainable.train()
        order = np.random.default_rng([seed, epoch]).permutation(len(train))
        losses: list[float] = []
        for features, targets in train.batches(recipe.batch_size, order, device=trainable.device):
            step = epoch * steps + len(losses)
            share = limit.share() if limit else step / (epochs * steps)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * _schedule(share, recipe.warmup)
            losses.append(_step(trainable, task, optimizer, features, targets, recipe, seed=(seed, step)))
            if limit and limit.over():
                break
        yield keeper.look(epoch + len(losses) / steps, float(np.mean(losses)))
        if keeper.stale >= recipe.patience or (limit and limit.over()):
            break
    keeper.restore()


class TimeLimit:
    """A number of seconds that starts to run when it is made."""

    def __init__(self, seconds: float) -> None:
        self._started, self._seconds = time.perf_counter(), max(seconds, 1e-9)

    def share(self) -> float:
        """Return how much of the time has passed, from 0 to 1."""
        return min(1.0, (time.perf_counter() - self._started) / self._seconds)

    def over(self) -> bool:
        return self.share() >= 1.0


def _step(
    trainable: TrainablePart, task: Task, optimizer: torch.optim.Optimizer, features: Features, targets: Tensor,
    recipe: Recipe, *, seed: tuple[int, int],
) -> float:  # fmt: skip
    """Take one optimiser step and return the loss before it."""
    torch.manual_seed(hash(seed) & 0x7FFFFFFF)
    loss = task.loss(trainable(features), targets, balance=recipe.balance)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trainable.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def _schedule(share: float, warmup: float) -> float:
    """Return the factor on all learning rates: a linear rise, then a cosine to zero."""
    if share < warmup:
        return max(share / warmup, 0.01)
    return 0.5 * (1 + math.cos(math.pi * (share - warmup) / (1 - warmup)))


def _optimizer(trainable: TrainablePart, recipe: Recipe) -> torch.optim.Optimizer:
    """Return AdamW with one group a block, whose learning rates fall with the distance from the head."""
    groups = [{"params": list(trainable.head.parameters()), "lr": recipe.learning_rate}]
    for distance, block in enumerate(reversed(trainable.blocks)):
        rate = recipe.block_learning_rate * recipe.layer_decay**distance
        groups.append({"params": list(block.parameters()), "lr": rate})
    return torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)


class _BestKeeper:
    """Remembers the weights with the lowest validation loss; without a validation split, the last ones."""

    def __init__(
        self,
        trainable: TrainablePart,
        task: Task,
        validation: Labelled | None,
        before_look: Callable[[], None],
    ) -> None:
        self._trainable, self._task, self._validation, self._before = trainable, task, validation, before_look
        self._best, self._weights = math.inf, {}  # type: float, dict[str, Tensor]
        self._started = time.perf_counter()
        self.stale = 0

    def look(self, epoch: float, train_loss: float) -> EpochEnded:
        """Evaluate on validation and say whether this is the best state so far."""
        self._before()
        metrics, better = {}, False
        if self._validation is not None:
            logits = predict_logits(self._trainable, self._validation)
            metrics = self._task.metrics(logits, self._validation.targets, intervals=False)
            better = metrics["eval_loss"] < self._best
            self.stale = 0 if better else self.stale + 1
        if better:
            self._best = metrics["eval_loss"]
            self._weights = copy.deepcopy(self._trainable.state_dict())
        return EpochEnded("thawed", epoch, train_loss, metrics, time.perf_counter() - self._started, better)

    def restore(self) -> None:
        """Put the best state back."""
        if self._weights:
            self._trainable.load_state_dict(self._weights)
        self._trainable.eval()
