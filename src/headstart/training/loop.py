"""Train what lies above the cut, on features that are data like any other.

First the head alone, as a linear problem with an exact solution on pooled features; then, where blocks are thawed,
head and blocks together with lower rates further down ("linear probe, then fine-tune", Kumar et al. 2022,
arXiv:2202.10054). Both are functions that yield events; printing, bars and reports read that stream.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.cut import Features, TrainablePart, run_blocks, to_device
from headstart.events import EpochEnded
from headstart.features.extract import FeatureSet
from headstart.tasks.contract import Task
from headstart.training.checkpoint import Checkpoint, Checkpoints
from headstart.training.recipe import Recipe
from headstart.types import groups_of

STRENGTHS = (0.001, 0.01, 0.1, 1.0, 10.0)
DEFAULT_STRENGTH = 0.01  # where no validation split is possible; measured on photos, texts and commands
DEFAULT_EPOCHS = 5  # likewise
_EVALUATION_BATCH = 32
UNKEPT = Checkpoints().at("training")


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


@dataclass(frozen=True)
class Solved:
    """What came out of solving a head.

    Attributes:
        strength: that validation chose, None where an earlier head stays.
        held_out: what was said of the validation split before it was learnt from, None without one.
        vectors: [N, D], what the linear layer reads of train and of validation; none for a row a step, [N, T, D],
            which takes too much room to be kept.
    """

    strength: float | None
    held_out: HeldOut | None
    vectors: list[np.ndarray]


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
) -> Generator[EpochEnded, None, Solved]:
    """Give the head's linear layer its exact solution; the strength is chosen on validation.

    Where nothing is trained after it (no thawed blocks), the solution is taken on train and validation together,
    with the strength that validation chose: the split has then done its work. A head that was trained before, with
    the same classes, stays where it does better on validation than any solution.
    """
    read, targets = [pooled_vectors(trainable, train)], [train.targets]
    best: float | None = DEFAULT_STRENGTH
    held_out = None
    if validation is not None:
        read.append(pooled_vectors(trainable, validation))
        targets.append(validation.targets)
        best, held_out = yield from _choose_strength(trainable, task, recipe, read[0], train, read[1], validation)
    learnt = slice(0, 1) if len(trainable.blocks) else slice(None)
    if best is not None:
        weight, bias = task.solve(
            stacked(read[learnt]), np.concatenate(targets[learnt]), strength=best, balance=recipe.balance
        )
        with torch.no_grad():
            trainable.head.linear.weight.copy_(torch.from_numpy(weight))
            trainable.head.linear.bias.copy_(torch.from_numpy(bias))
    trainable.eval()
    return Solved(best, held_out, read if read[0].ndim == 2 else [])


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
    checkpoint: Checkpoint = UNKEPT,
) -> Iterator[EpochEnded]:
    """Train head and thawed blocks together, stop when validation no longer improves, and keep the best weights.

    Randomness is a function of (seed, step) and order of (seed, epoch), so that equal features and an equal seed
    give bit-identical weights. Epoch 0 is the state before, unless that is random: training is kept where it helps.

    Args:
        limit: ends the training in the middle of an epoch, and lets the learning rates fall over its time.
        before_look: called before every evaluation.
        checkpoint: where the training goes on, and what it is kept in; events from before are yielded again.
    """
    steps, batch = math.ceil(len(train) / recipe.batch_size), recipe.batch_size
    optimizer = _optimizer(trainable, recipe)
    rates = [group["lr"] for group in optimizer.param_groups]
    course = _Course(trainable, optimizer, _BestKeeper(trainable, task, validation, before_look), checkpoint)
    yield from course.resume()
    if not course.history and not trainable.fresh:
        yield course.look(0, float("nan"))
    while course.epoch < recipe.epochs and not course.over(recipe.patience, limit):
        trainable.train()
        order = np.random.default_rng([seed, course.epoch]).permutation(len(train))[len(course.losses) * batch :]
        for features, targets in train.batches(batch, order, device=trainable.device):
            step = course.epoch * steps + len(course.losses)
            share = limit.share() if limit else step / (recipe.epochs * steps)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * _schedule(share, recipe.warmup)
            loss = _step(trainable, task, optimizer, features, targets, recipe, seed=(seed, step))
            course.stepped(loss)
            if limit and limit.over():
                break
        yield course.end_epoch(steps)
    course.end()


class _Course:
    """How far a training has come, in memory and in its checkpoint.

    Attributes:
        epoch: that is being trained. losses: of its steps so far. history: the events of those before.
    """

    def __init__(
        self, trainable: TrainablePart, optimizer: torch.optim.Optimizer, keeper: _BestKeeper, checkpoint: Checkpoint
    ) -> None:
        self._trainable, self._optimizer, self._keeper = trainable, optimizer, keeper
        self._checkpoint = checkpoint
        self._ended = False
        self.epoch, self.losses, self.history = 0, [], []  # type: int, list[float], list[EpochEnded]

    def resume(self) -> Sequence[EpochEnded]:
        """Go where the checkpoint is, and return what happened before it."""
        saved = self._checkpoint.read()
        if saved is None:
            return ()
        facts = saved.facts
        self._trainable.load_state_dict(saved.part("now"))
        self._keeper.restore_from(saved.part("best"), facts)
        self._ended, self.epoch, self.losses = facts["ended"], facts["epoch"], facts["losses"]
        self.history = [EpochEnded(**event) for event in facts["history"]]
        _load_optimizer(self._optimizer, saved.part("optimizer"))
        return self.history

    def look(self, epoch: float, train_loss: float) -> EpochEnded:
        self.history.append(self._keeper.look(epoch, train_loss))
        return self.history[-1]

    def stepped(self, loss: float) -> None:
        self.losses.append(loss)
        if self._checkpoint.due():
            self._write()

    def end_epoch(self, steps: int) -> EpochEnded:
        event = self.look(self.epoch + len(self.losses) / steps, float(np.mean(self.losses)))
        self.epoch, self.losses = self.epoch + 1, []
        if self._checkpoint.due():
            self._write()
        return event

    def over(self, patience: int, limit: TimeLimit | None) -> bool:
        enough = self._keeper.stale >= patience or (limit is not None and limit.over())
        return self._ended or (self.epoch > 0 and enough)

    def end(self) -> None:
        """Put the best state back; a checkpoint of it needs nothing else."""
        self._keeper.restore()
        if not self._ended:
            self._ended = True
            self._write()

    def _write(self) -> None:
        parts = {"now": self._trainable.state_dict()}
        if not self._ended:
            parts |= {"best": self._keeper.weights, "optimizer": _optimizer_state(self._optimizer)}
        facts = {
            "epoch": self.epoch, "losses": self.losses, "ended": self._ended, "best": self._keeper.best,
            "stale": self._keeper.stale, "seconds": self._keeper.seconds, "history": [asdict(e) for e in self.history],
        }  # fmt: skip
        self._checkpoint.write(parts, facts)


def _optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    states = optimizer.state_dict()["state"]
    return {f"{number}/{name}": tensor for number, state in states.items() for name, tensor in state.items()}


def _load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, _, kind = name.partition("/")
        states.setdefault(int(number), {})[kind] = tensor
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})


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
        self.best, self.weights = math.inf, {}  # type: float, dict[str, Tensor]
        self._started = time.perf_counter()
        self.stale = 0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started

    def restore_from(self, weights: dict[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Remember what a checkpoint has remembered."""
        self.best, self.weights, self.stale = facts["best"], weights, facts["stale"]
        self._started -= facts["seconds"]

    def look(self, epoch: float, train_loss: float) -> EpochEnded:
        """Evaluate on validation and say whether this is the best state so far."""
        self._before()
        metrics, better = {}, False
        if self._validation is not None:
            logits = predict_logits(self._trainable, self._validation)
            metrics = self._task.metrics(logits, self._validation.targets, intervals=False)
            better = metrics["eval_loss"] < self.best
            self.stale = 0 if better else self.stale + 1
        if better:
            self.best = metrics["eval_loss"]
            self.weights = {name: tensor.clone() for name, tensor in self._trainable.state_dict().items()}
        return EpochEnded("thawed", epoch, train_loss, metrics, self.seconds, better)

    def restore(self) -> None:
        """Put the best state back."""
        if self.weights:
            self._trainable.load_state_dict(self.weights)
        self._trainable.eval()
