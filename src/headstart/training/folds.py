"""Cross-validation: every example is judged once, by a model that has not seen it, from features computed once.

Each fold is judged by what was trained on the others, of which the next one serves as validation. Kohavi, R. (1995).
A study of cross-validation and bootstrap for accuracy estimation and model selection. IJCAI.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

from headstart.cut import TrainablePart
from headstart.data.dataset import Dataset
from headstart.errors import DataError
from headstart.events import EpochEnded, Listener, Progress, ignore
from headstart.features.extract import FeatureSet
from headstart.tasks.contract import Task
from headstart.training.adapt import Adapted, Splits, adapt, identity
from headstart.training.checkpoint import Checkpoint
from headstart.training.continuing import Earlier
from headstart.training.loop import UNKEPT, HeldOut, Labelled, pooled_vectors, predict_logits, stacked
from headstart.training.recipe import Recipe

FEW_FOLDS = 5  # where folds are a means and nobody asked for them


@dataclass(frozen=True)
class OutOfFold:
    """What the models of all folds said of examples that they had not seen.

    Attributes:
        task: as it was before any fold settled it. judged: those examples.
        logits: one row each, as if one task had settled all folds; `raw` before that; `calibrated` by the temperature
            that all other folds ask for.
        probe, uninformed: the same for the linear probe, and for answers without looking.
        scores: the first metric in each fold. epochs: after how many the thawed part was best, the median.
        folds: of each example of the features; negative where it was always learnt from.
    """

    task: Task
    judged: Labelled
    logits: np.ndarray
    raw: np.ndarray
    calibrated: np.ndarray
    probe: np.ndarray
    uninformed: np.ndarray
    scores: list[float]
    epochs: int
    folds: np.ndarray


@dataclass(frozen=True)
class _Fold:
    """What one fold gave; rows belong to `indices`."""

    indices: np.ndarray
    logits: np.ndarray
    raw: np.ndarray
    probe: np.ndarray
    uninformed: np.ndarray
    score: float
    epochs: float


def cross_validate(
    trainable: TrainablePart, features: FeatureSet, targets: np.ndarray, folds: Sequence[int], task: Task,
    recipe: Recipe, *, listener: Listener = ignore, checkpoint: Checkpoint = UNKEPT,
) -> OutOfFold:  # fmt: skip
    """Train and judge once a fold; `trainable` and `task` are afterwards what they were.

    Args:
        targets: a row for each example of `features`.
        folds: of each example; negative ones are always learnt from and never judged.
    """
    start = copy.deepcopy(trainable.state_dict())
    found = []
    for fold in range(recipe.folds):
        trainable.load_state_dict(start)
        splits = splits_of(features, targets, folds, judged=fold, validation=(fold + 1) % recipe.folds)
        found.append(_judge(trainable, splits, copy.deepcopy(task), recipe, checkpoint.at(f"fold {fold + 1}")))
        listener(Progress("folds", fold + 1, recipe.folds))
    trainable.load_state_dict(start)
    indices = np.concatenate([one.indices for one in found])
    return OutOfFold(
        task=copy.deepcopy(task), judged=Labelled(features, indices, targets[indices]),
        logits=stacked([one.logits for one in found]), raw=stacked([one.raw for one in found]),
        calibrated=stacked(_calibrated(task, [one.raw for one in found], [targets[one.indices] for one in found])),
        probe=stacked([one.probe for one in found]), uninformed=stacked([one.uninformed for one in found]),
        scores=[one.score for one in found], epochs=max(1, round(float(np.median([one.epochs for one in found])))),
        folds=np.asarray(folds),
    )  # fmt: skip


def _calibrated(task: Task, raw: list[np.ndarray], targets: list[np.ndarray]) -> list[np.ndarray]:
    """Return the logits of each fold, calibrated on those of the others."""
    found = []
    for fold, logits in enumerate(raw):
        settled, others = copy.deepcopy(task), [n for n in range(len(raw)) if n != fold]
        settled.settle(stacked([raw[n] for n in others]), np.concatenate([targets[n] for n in others]))
        found.append(settled.calibrated(logits))
    return found


def train_on_all(
    trainable: TrainablePart, features: FeatureSet, targets: np.ndarray, folds: Sequence[int], task: Task,
    recipe: Recipe, found: OutOfFold, *, listener: Listener, checkpoint: Checkpoint = UNKEPT,
) -> tuple[Splits, Adapted]:  # fmt: skip
    """Train the model that is kept, on every example, with what the folds have taught; the task is settled on them."""
    if len(trainable.blocks):
        splits = splits_of(features, targets, folds)
        recipe = recipe.replace(epochs=found.epochs)
        adapted = adapt(trainable, splits, task, recipe, listener, epochs_chosen=True, checkpoint=checkpoint)
    else:  # the exact solution is taken on both parts once the first fold has chosen its strength
        splits = splits_of(features, targets, folds, validation=0)
        adapted = adapt(trainable, splits, task, recipe, listener)
    task.settle(found.raw, found.judged.targets)
    return splits, adapted


def few_folds(dataset: Dataset, recipe: Recipe, earlier: Earlier | None) -> dict[str, int]:
    """Return one of a few folds of each example outside the test, by name; none where there are too few groups."""
    try:
        return dataset.folds(FEW_FOLDS, seed=recipe.seed, learnt=earlier.learnt if earlier else ())
    except DataError:
        return {}


def folds_of(labelled: Labelled, fold_of: Mapping[str, int]) -> np.ndarray:
    """Return the fold of each example, [N], -1 for those that are always learnt from."""
    return np.array([fold_of.get(labelled.features.examples[index].name, -1) for index in labelled.indices])


def vectors_of(trainable: TrainablePart, adapted: Adapted, splits: Splits) -> np.ndarray:
    """Return what the linear head reads of `splits.outside_test`, before blocks were thawed."""
    if not adapted.solved.vectors:
        return pooled_vectors(adapted.probe or trainable, splits.outside_test)
    train, *validation = adapted.solved.vectors
    return np.concatenate([train[: len(splits.train)], *validation])  # behind the examples themselves are views


def left_linear(trainable: TrainablePart, adapted: Adapted) -> bool:
    """Say whether the head's solution on the pre-trained blocks is what was kept, also where thawing gained nothing."""
    if adapted.probe is None:
        return True
    before = adapted.probe.state_dict()
    return all(torch.equal(tensor, before[name]) for name, tensor in trainable.state_dict().items())


def settle_by_folds(
    trainable: TrainablePart, adapted: Adapted, splits: Splits, fold_of: Mapping[str, int], task: Task, recipe: Recipe
) -> Adapted:
    """Settle the task of a head that learns from train and validation alike on what all of these say, fold by fold.

    The validation split alone is often a few dozen examples; by folds each example is judged by a head that has not
    learnt from it. Where thawed blocks have moved, an earlier head stayed, or views were learnt from, nothing changes.

    Args:
        fold_of: the fold of each example by name, none for what is always learnt from.
    """
    validation, strength = splits.validation, adapted.solved.strength
    if validation is None or strength is None or splits.train.features.views or not fold_of:
        return adapted
    if not left_linear(trainable, adapted):
        return adapted
    whole, vectors = splits.outside_test, vectors_of(trainable, adapted, splits)
    folds = folds_of(whole, fold_of)
    judged, rows = [], []
    for fold in np.unique(folds[folds >= 0]):
        known, asked = folds != fold, np.flatnonzero(folds == fold)
        weight, bias = task.solve(vectors[known], whole.targets[known], strength=strength, balance=recipe.balance)
        judged.append(asked)
        rows.append(vectors[asked] @ weight.T + bias)
    chosen = np.concatenate(judged)
    held_out = HeldOut(Labelled(whole.features, whole.indices[chosen], whole.targets[chosen]), np.concatenate(rows))
    task.settle(held_out.logits, held_out.labelled.targets)
    return replace(adapted, held_out=held_out)


def splits_of(
    features: FeatureSet, targets: np.ndarray, folds: Sequence[int] | np.ndarray, *, judged: int | None = None,
    validation: int | None = None,
) -> Splits:  # fmt: skip
    """Return splits of the examples outside the user's own test split, by their folds."""
    places = np.array([i for i, example in enumerate(features.examples) if example.split != "test"], dtype=np.int64)
    of = np.asarray(folds)[places]

    def part(chosen: np.ndarray) -> Labelled:
        return Labelled(features, places[chosen], targets[places[chosen]])

    def fold(number: int | None) -> Labelled | None:
        return None if number is None else part(of == number)

    kept_apart = [number for number in (judged, validation) if number is not None]
    return Splits(part(~np.isin(of, kept_apart)), fold(validation), fold(judged))


def _judge(trainable: TrainablePart, splits: Splits, task: Task, recipe: Recipe, checkpoint: Checkpoint) -> _Fold:
    """Train and judge one fold, unless that was done before a kill."""
    started, checkpoint = time.perf_counter(), checkpoint.of(identity(trainable, splits, recipe))
    saved = checkpoint.read()
    if saved:
        arrays = {name: tensor.numpy() for name, tensor in saved.part("fold").items()}
        return _Fold(**arrays, score=saved.facts["score"], epochs=saved.facts["epochs"])
    fold = _trained(trainable, splits, task, recipe, checkpoint)
    facts = asdict(fold)
    arrays = {name: facts.pop(name) for name in list(facts) if isinstance(facts[name], np.ndarray)}
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
    checkpoint.write({"fold": tensors}, {**facts, "seconds": time.perf_counter() - started})
    return fold


def _trained(trainable: TrainablePart, splits: Splits, task: Task, recipe: Recipe, checkpoint: Checkpoint) -> _Fold:
    test = splits.test
    if test is None:
        raise ValueError("a fold must be judged")
    adapted = adapt(trainable, splits, task, recipe, ignore, checkpoint=checkpoint)
    raw = predict_logits(trainable, test)
    probe = raw if adapted.probe is None else predict_logits(adapted.probe, test)
    uninformed = np.broadcast_to(task.uninformed(splits.train.targets), raw.shape)
    return _Fold(
        test.indices, task.pooled(raw), raw, adapted.probe_task.pooled(probe), uninformed,
        task.metrics(raw, test.targets, intervals=False)[f"eval_{task.metric}"], _best_epoch(adapted.history),
    )  # fmt: skip


def _best_epoch(history: Sequence[EpochEnded]) -> float:
    return max((event.epoch for event in history if event.stage == "thawed" and event.best), default=0)
