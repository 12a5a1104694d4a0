"""The architecture as prose: each noun of headstart once, in the order in which data flow through them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.backbones import open_backbone
from headstart.cut import TrainablePart
from headstart.data.dataset import Dataset, open_dataset
from headstart.data.objects import data_path
from headstart.device import resolve_device
from headstart.durable import write_durably
from headstart.errors import DataError
from headstart.evaluation.abstaining import when_unsure
from headstart.evaluation.judging import judged_apart
from headstart.evaluation.measure import Run, Stages, measure, sample_inputs
from headstart.events import Listener, Note, ignore
from headstart.features.cache import open_cache
from headstart.features.extract import FeatureSet, extract
from headstart.heads.contract import make_head
from headstart.model import RECORD, Model, assemble, load
from headstart.ranking.defaults import (
    choose_backbone,
    choose_cut,
    choose_engine,
    known_facts,
    task_class,
    wanted_tasks,
)
from headstart.reporting.card import write_card
from headstart.reporting.report import write_report
from headstart.tasks.contract import Task
from headstart.tracing import trace
from headstart.training.adapt import Adapted, Splits, adapt, labelled_splits
from headstart.training.continuing import Earlier, earlier_model
from headstart.training.folds import OutOfFold, cross_validate, train_on_all
from headstart.training.loop import stacked
from headstart.training.output import OutputFolder
from headstart.training.recipe import Recipe
from headstart.training.views import choose_views, with_views
from headstart.types import Example, Skipped, groups_of

__all__ = ["evaluate", "fit", "load", "trace"]


def fit(
    data: Any, *, recipe: Recipe | None = None, output_dir: str | Path | None = None, resume: bool = False,
    listener: Listener = ignore, **settings: Any,
) -> Model:  # fmt: skip
    """Adapt a pre-trained backbone to labelled data, save the model with its report, and return it.

    Args:
        data: a folder or a table, or a data set of Hugging Face's `datasets`.
        recipe: all settings; single ones may be given by keyword: `freeze=9`.
        output_dir: where the model goes; by default a new folder below `headstart-runs`.
        resume: go on with an unfinished run in `output_dir`; cached features are never computed again either way.
        listener: called with progress, forecasts, epochs and notes.

    Raises:
        HeadstartError: what is wrong and the way out; nothing half-written is left behind.
    """
    data, recipe = data_path(data), (recipe or Recipe()).replace(**settings)
    device = resolve_device(recipe.device)
    with OutputFolder(output_dir, data, recipe, resume=resume) as folder, open_cache(keep=recipe.cache) as cache:
        stages = Stages()
        dataset = _open(data, recipe)
        name = choose_backbone(dataset.kind, recipe.backbone)
        backbone = open_backbone(name, examples=dataset.examples, device=device)
        earlier = earlier_model(backbone)
        dataset = dataset.not_judging(earlier.learnt if earlier else ())
        task_type = task_class(dataset, recipe)
        keep, freeze, head_name = choose_cut(backbone, recipe, task_type, earlier=earlier)
        engine = choose_engine(recipe)
        frozen, blocks = backbone.cut(freeze, keep)
        stages.end("prepare")

        features = extract(
            dataset.examples, backbone=backbone, frozen=frozen, engine=engine, cache=cache,
            storage=recipe.storage, hashes=dataset.hashes, views=choose_views(recipe, dataset), listener=listener,
        )  # fmt: skip
        dataset = _without_unreadable(dataset, features, listener)
        stages.end("frozen_pass")

        task = task_type.of(dataset)
        task.read_with(backbone.preprocess)
        head = make_head(head_name, backbone.outputs_at(keep), task.outputs, dropout=recipe.dropout)
        if earlier:
            earlier.start(head, task)
        trainable = TrainablePart(blocks, head).to(device)
        if features.stored:
            backbone.release_except(blocks)
        splits, adapted, found = _train(trainable, features, dataset, task, recipe, earlier, listener)
        stages.end("train")

        finished = task.finish(trainable.head.linear)
        whole, head = assemble(backbone, trainable, keep=keep)
        facts = {"backbone": backbone.name, "keep": keep, **known_facts(backbone, earlier)}
        facts |= when_unsure(judged_apart(task, finished, splits, adapted, found), recipe.answered_accuracy)
        model = Model(whole, freeze, head, finished, engine.name, facts)
        model.save(folder, sample=sample_inputs(whole, features))
        _report(Run(
            recipe, dataset, backbone, keep, features, splits, task, trainable, adapted, model, stages, listener,
            earlier, found,
        ), folder)  # fmt: skip
    return model


def _open(data: str | Path, recipe: Recipe) -> Dataset:
    """Open the data as the recipe's task reads them; with folds, only the user's own test split stays apart."""
    kind, forms = wanted_tasks(recipe)
    dataset = open_dataset(
        data, kind=kind, forms=forms, seed=recipe.seed, text_column=recipe.text_column,
        text_pair_column=recipe.text_pair_column, label_column=recipe.label_column, group_column=recipe.group_column,
    )  # fmt: skip
    if recipe.group_column != Recipe().group_column and not any(example.group for example in dataset.examples):
        raise DataError(
            f"no example of `{dataset.source}` has a `{recipe.group_column}`",
            "name a column of the table, or of the metadata file in the folder, with --group-column",
        )
    return dataset.joined() if recipe.folds else dataset


def _train(
    trainable: TrainablePart, features: FeatureSet, dataset: Dataset, task: Task, recipe: Recipe,
    earlier: Earlier | None, listener: Listener,
) -> tuple[Splits, Adapted, OutOfFold | None]:  # fmt: skip
    """Adapt what lies above the cut; with folds, after all of them have been judged."""
    targets = task.encode(features.examples)
    if not recipe.folds:
        splits = labelled_splits(features, targets)
        return splits, adapt(trainable, with_views(splits), task, recipe, listener), None
    folds = dataset.folds(recipe.folds, seed=recipe.seed, learnt=earlier.learnt if earlier else ())
    of = [folds.get(example.name, -1) for example in features.examples]
    found = cross_validate(trainable, features, targets, of, task, recipe, listener=listener)
    splits, adapted = train_on_all(trainable, features, targets, of, task, recipe, found, listener=listener)
    test = labelled_splits(features, targets).test
    return replace(splits, test=test), adapted, found


def _report(run: Run, folder: Path) -> None:
    """Measure the run and write its report, its card and its record beside the weights."""
    record = measure(run)
    write_report(record, folder)
    write_card(record, folder, usage=run.model.usage)
    write_durably(folder / RECORD, json.dumps(record.to_dict(), indent=1).encode())


def evaluate(
    model: Model,
    data: Any,
    *,
    text_column: str = "text",
    text_pair_column: str = "text_pair",
    label_column: str = "label",
    group_column: str = "group",
    listener: Listener = ignore,
) -> dict[str, Any]:
    """Return `metrics` and the number of `examples` of a model on labelled data that it has not learnt from.

    Where the data have splits of their own, the test split counts. Examples that the model was trained on are
    recognised by their content and left out.

    Raises:
        DataError: a class is unknown to the model, or no example is left that could be judged.
    """
    form = model.task.form
    dataset = open_dataset(
        data_path(data), kind=model.kind, forms=[form], text_column=text_column, text_pair_column=text_pair_column,
        label_column=label_column, group_column=group_column, to_learn=False,
    )  # fmt: skip
    _tell(dataset, (), listener)
    examples = _unseen(dataset, model, listener)
    unknown = sorted({name for example in examples for name in form.classes(example.target)} - set(model.labels))
    if unknown:
        raise DataError(f"the model does not know the class `{unknown[0]}`", "it knows: " + ", ".join(model.labels))
    judged: list[Example] = []
    logits: list[np.ndarray] = []
    for example, row in model.logits_of(examples, listener=listener):
        if isinstance(example, Skipped) or isinstance(row, Skipped):
            listener(Note(f"skipped {example.name}: it {getattr(row, 'error', '')}"))
        else:
            judged.append(example)
            logits.append(row)
    if not judged:
        raise DataError(f"no example of `{data}` can be read", "run `headstart predict` on one to see why")
    targets, groups = model.task.encode(judged), groups_of(judged)
    metrics = model.task.metrics(stacked([row[None] for row in logits]), targets, groups=groups)
    return {"metrics": metrics, "examples": len(judged)}


def _unseen(dataset: Dataset, model: Model, listener: Listener) -> list[Example]:
    """Return the examples that a score may be taken on."""
    examples = (dataset.own_splits and dataset.split("test")) or dataset.examples
    learnt = set(model.record.data["trained_on"]) if model.record else set()
    unseen = [example for example in examples if dataset.hashes[example.name] not in learnt]
    if len(unseen) < len(examples):
        listener(Note(f"{len(examples) - len(unseen)} examples were left out: the model was trained on them"))
    if not unseen:
        raise DataError(
            f"the model was trained on all of `{dataset.source}`", "give labelled data that it has not seen"
        )
    return unseen


def _without_unreadable(dataset: Dataset, features: FeatureSet, listener: Listener) -> Dataset:
    """Leave out what could not be decoded, name it, and say what else the user must know."""
    _tell(dataset, features.skipped, listener)
    return dataset.without({skipped.name for skipped in features.skipped})


def _tell(dataset: Dataset, unreadable: Sequence[Skipped], listener: Listener) -> None:
    """Say what the user must know of the data: notes, each input that was left out, and how many those are."""
    for note in dataset.notes:
        listener(Note(note))
    skipped = (*dataset.skipped, *unreadable)
    for one in skipped:
        listener(Note(f"skipped {one.name}: it {one.error}"))
    if skipped:
        listener(Note(f"{len(skipped)} of {len(dataset.examples) + len(dataset.skipped)} inputs were left out"))
