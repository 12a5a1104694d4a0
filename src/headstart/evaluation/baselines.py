"""All that the adapted model is compared with in a run: which controls there are, and what they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headstart.errors import UnreadableFile
from headstart.evaluation.controls import Answers, FromScratch, answers_of, majority
from headstart.evaluation.simple import SimpleModel, descriptor_for
from headstart.events import Note
from headstart.tasks.contract import Task
from headstart.training.folds import OutOfFold, splits_of
from headstart.training.loop import Labelled, predict_logits, stacked

if TYPE_CHECKING:
    from headstart.evaluation.measure import Run

NAMES = ("majority", "simple", "linear_probe", "from_scratch", "from_scratch_converged")

Baselines = dict[str, Answers | None]


def baselines_on_test(run: Run, test: Labelled, logits: np.ndarray) -> Baselines:
    """Return every control on the test examples, of which the adapted model gave `logits`; None where one is off."""
    found: Baselines = dict.fromkeys(NAMES)
    if run.recipe.baselines:
        found["majority"] = majority(run.task, run.splits.train.targets, test, logits.shape[1:-1])
        found["simple"] = _simple(run, test)
        found["linear_probe"] = _linear_probe(run, test, logits)
        found |= _from_scratch(run, test)
    return found


def baselines_by_folds(run: Run, found: OutOfFold) -> Baselines:
    """Return the controls that take no training of a network, judged fold by fold like the model."""
    baselines: Baselines = dict.fromkeys(NAMES)
    if run.recipe.baselines:
        note = "fold by fold, like the adapted model"
        baselines["majority"] = answers_of(found.task, found.uninformed, found.judged, note=note)
        baselines["simple"] = _simple_by_folds(run, found)
        baselines["linear_probe"] = answers_of(found.task, found.probe, found.judged, note=note)
    return baselines


def _linear_probe(run: Run, test: Labelled, logits: np.ndarray) -> Answers:
    probe = run.adapted.probe
    if probe is None:
        return answers_of(run.model.task, logits, test, note="the adapted model is one itself")
    note = "no block thawed, the exact solution for the head"
    return answers_of(run.adapted.probe_task, predict_logits(probe, test), test, note=note)


def _from_scratch(run: Run, test: Labelled) -> Baselines:
    """Train the same network from random weights; the longer run first, so that the other has its learning rate."""
    # Written down first: a run that goes on after a kill gives its controls the same time.
    spent = run.decide("seconds of controls", lambda: run.learning_seconds)
    found: Baselines = {}
    with FromScratch(run.backbone, run.task, run.model.head.name, keep=run.keep, recipe=run.recipe,
                     features=run.features, listener=run.listener) as scratch:  # fmt: skip
        if run.recipe.scratch_minutes > 0:
            limit = max(60 * run.recipe.scratch_minutes, spent)
            name = "from scratch, converged"
            found["from_scratch_converged"] = scratch.run(run.splits, test, seconds=limit, name=name)
        found["from_scratch"] = scratch.run(run.splits, test, seconds=spent, name="from scratch, equal time")
    return found


def _simple_model(run: Run, task: Task) -> SimpleModel | None:
    """Return the linear model for these data, None where nothing describes them; say so where a file has gone."""
    descriptor = descriptor_for(task.kind, per_step=run.model.head.per_step)
    if descriptor is None:
        return None
    try:
        return SimpleModel(descriptor, run.features.examples, run.backbone.preprocess, task, balance=run.recipe.balance)
    except UnreadableFile as error:
        run.listener(Note(f"there is no simple model to compare with: {error.message}"))
        return None


def _simple(run: Run, test: Labelled) -> Answers | None:
    model = _simple_model(run, run.task)
    if model is None:
        return None
    said = model.judge(run.splits.train, run.splits.validation, test)
    return answers_of(said.task, said.logits, test, seconds=said.seconds, train_score=said.train_score, note=said.note)


def _simple_by_folds(run: Run, found: OutOfFold) -> Answers | None:
    model = _simple_model(run, found.task)
    if model is None:
        return None
    features, targets = run.features, found.task.encode(run.features.examples)
    said = []
    for fold in range(run.recipe.folds):
        after = (fold + 1) % run.recipe.folds
        splits = splits_of(features, targets, found.folds, judged=fold, validation=after)
        if splits.test is not None:
            said.append(model.judge(splits.train, splits.validation, splits.test))
    logits = stacked([one.task.pooled(one.logits) for one in said])
    return answers_of(
        found.task, logits, found.judged, seconds=sum(one.seconds for one in said),
        train_score=float(np.mean([one.train_score for one in said])), note=f"{said[0].note}, fold by fold",
    )  # fmt: skip
