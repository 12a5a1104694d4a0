"""The architecture as prose: each noun of headstart once, in the order in which data flow through them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.assessment import compare, evaluate, tell
from headstart.backbones import open_backbone
from headstart.backbones.contract import Backbone
from headstart.checking.examine import examine, examine_in_fit, see
from headstart.checking.findings import Findings
from headstart.cut import TrainablePart
from headstart.data.dataset import Dataset, open_dataset
from headstart.data.objects import data_path
from headstart.device import resolve_device
from headstart.durable import write_durably
from headstart.errors import DataError, MachineError
from headstart.evaluation.abstaining import when_unsure
from headstart.evaluation.judging import judged_apart
from headstart.evaluation.looks import first_look
from headstart.evaluation.measure import Run, Stages, environment, measure, sample_inputs
from headstart.events import Listener, Note, ignore
from headstart.features.cache import open_cache
from headstart.features.extract import FeatureSet, extract
from headstart.heads.contract import make_head
from headstart.model import RECORD, Model, assemble, load
from headstart.ranking.candidates import Ranking
from headstart.ranking.defaults import (
    choose_backbone,
    choose_cut,
    choose_engine,
    known_facts,
    task_class,
    wanted_tasks,
)
from headstart.ranking.search import BUDGET, rank_backbones
from headstart.reporting.card import write_card
from headstart.reporting.report import write_report
from headstart.tasks.contract import Task
from headstart.tracing import trace
from headstart.training.adapt import Adapted, Splits, adapt, labelled_splits
from headstart.training.continuing import Earlier, earlier_model
from headstart.training.folds import OutOfFold, cross_validate, few_folds, settle_by_folds, train_on_all
from headstart.training.output import OutputFolder
from headstart.training.recipe import Recipe
from headstart.training.views import choose_views, with_views

__all__ = ["check", "compare", "evaluate", "fit", "load", "rank", "trace"]


def fit(
    data: Any, *, recipe: Recipe | None = None, output_dir: str | Path | None = None, resume: bool = False,
    listener: Listener = ignore, **settings: Any,
) -> Model:  # fmt: skip
    """Adapt a pre-trained backbone to labelled data, save the model with its report, and return it.

    Args:
        data: a folder or a table, or a data set of Hugging Face's `datasets`.
        recipe: all settings; single ones may be given by keyword: `freeze=9`.
        output_dir: where the model goes; by default a new folder below `headstart-runs`.
        resume: go on with an unfinished run in `output_dir`; the model is the one it would have given without a break.
        listener: called with progress, forecasts, epochs and notes.

    Raises:
        HeadstartError: what is wrong and the way out; nothing half-written is left behind.
    """
    data, recipe = data_path(data), (recipe or Recipe()).replace(**settings)
    folder, stages = OutputFolder(output_dir, data, recipe, resume=resume, listener=listener), Stages()
    with folder, open_cache(keep=recipe.cache) as cache:
        if folder.finished:
            return load(folder.path, device=recipe.device)
        device = folder.decide("device", lambda: resolve_device(recipe.device))
        dataset = _open(data, recipe)
        name = choose_backbone(dataset.kind, recipe.backbone)
        backbone = open_backbone(name, examples=dataset.examples, device=device)
        earlier = earlier_model(backbone)
        dataset = dataset.not_judging(earlier.learnt if earlier else ())
        task_type = task_class(dataset, recipe)
        keep, freeze, head_name = choose_cut(backbone, recipe, task_type, earlier=earlier)
        engine = choose_engine(recipe)
        frozen, blocks = backbone.cut(freeze, keep)
        folder.compare({**environment(), "backbone": backbone.name, "data": dataset.fingerprint})
        stages.end("prepare")

        features = extract(dataset.examples, backbone=backbone, frozen=frozen, engine=engine, cache=cache,
                           storage=recipe.storage, hashes=dataset.hashes, views=choose_views(recipe, dataset),
                           listener=listener, decide=folder.decide)  # fmt: skip
        dataset = _without_unreadable(dataset, features, listener)
        stages.end("frozen_pass")
        findings = examine_in_fit(dataset, features, backbone, listener)
        stages.end("prepare")

        task = task_type.of(dataset)
        task.read_with(backbone.preprocess)
        head = make_head(head_name, backbone.outputs_at(keep), task.outputs, dropout=recipe.dropout)
        if earlier:
            earlier.start(head, task)
        trainable = TrainablePart(blocks, head).to(device)
        if features.stored:
            backbone.release_except(blocks)
        splits, adapted, found = _train(trainable, features, dataset, task, recipe, earlier, folder)
        stages.end("train", before=folder.checkpoints.seconds)
        finished = task.finish(trainable.head.linear)
        whole, head = assemble(backbone, trainable, keep=keep)
        facts = {"inputs": [*dataset.examples[0].inputs], "keep": keep, **known_facts(backbone, earlier)}
        facts |= when_unsure(judged_apart(task, finished, adapted, found), recipe.answered_accuracy)
        model = Model(whole, freeze, head, finished, engine.name, facts)
        _save(Run(recipe, dataset, backbone, keep, features, splits, task, trainable, adapted, model, stages, listener,
                  earlier, found, folder.decide, folder.resumed_from), findings, folder)  # fmt: skip
    return model


def rank(
    data: Any, *, backbones: Sequence[str] = (), budget: float = BUDGET, recipe: Recipe | None = None,
    listener: Listener = ignore, **settings: Any,
) -> Ranking:  # fmt: skip
    """Measure which backbone suits labelled data, and after which block to read it; test examples are left alone.

    Args:
        data: as for `fit`.
        backbones: names; none of them means all of the catalogue that read such data and are here.
        budget: minutes for measuring and training.
        recipe: columns, seed, engine and so on; single ones may be given by keyword.

    Raises:
        HeadstartError: what is wrong and the way out.
    """
    data, recipe = data_path(data), (recipe or Recipe()).replace(**settings)
    dataset = _open(data, recipe)
    tell(dataset, (), listener)
    with open_cache(keep=recipe.cache) as cache:
        return rank_backbones(
            dataset, recipe, backbones=backbones, cache=cache, minutes=budget, listener=listener
        )  # fmt: skip


def check(
    data: Any, *, recipe: Recipe | None = None, vectors: bool = True, listener: Listener = ignore, **settings: Any
) -> Findings:
    """Look for what is wrong with labelled data: duplicates, leaks, doubtful labels, inputs that hold nothing.

    What the backbone computes for it is kept, and a later `fit` with the same settings finds it.

    Args:
        data: as for `fit`; one class is enough.
        recipe: backbone, cut, columns and so on; single ones may be given by keyword.
        vectors: run the backbone; without it doubtful labels are not found, and fewer near duplicates.

    Raises:
        HeadstartError: what is wrong and the way out.
    """
    data, recipe = data_path(data), (recipe or Recipe()).replace(**settings)
    dataset = _open(data, recipe, to_learn=False)
    tell(dataset, (), listener)
    backbone = _checking_backbone(dataset, recipe, listener) if vectors else None
    if backbone is None:
        return examine(dataset, listener=listener)
    keep, freeze, _ = choose_cut(backbone, recipe, task_class(dataset, recipe))
    frozen, _ = backbone.cut(freeze, keep)
    with open_cache(keep=recipe.cache) as cache:
        features = extract(
            dataset.examples, backbone=backbone, frozen=frozen, engine=choose_engine(recipe), cache=cache,
            storage=recipe.storage, hashes=dataset.hashes, listener=listener,
        )  # fmt: skip
        return examine(dataset, see(features, backbone), listener=listener)


def _checking_backbone(dataset: Dataset, recipe: Recipe, listener: Listener) -> Backbone | None:
    """Open the backbone; where nobody named one and the default cannot be had, most checks do without it."""
    try:
        return open_backbone(
            choose_backbone(dataset.kind, recipe.backbone), examples=dataset.examples,
            device=resolve_device(recipe.device),
        )  # fmt: skip
    except MachineError as error:
        if recipe.backbone != "auto":
            raise
        listener(Note(f"no backbone is run: {error.message}"))
        return None


def _open(data: str | Path, recipe: Recipe, *, to_learn: bool = True) -> Dataset:
    """Open the data as the recipe's task reads them; with folds, only the user's own test split stays apart."""
    kind, forms = wanted_tasks(recipe)
    dataset = open_dataset(
        data, kind=kind, forms=forms, seed=recipe.seed, text_column=recipe.text_column,
        text_pair_column=recipe.text_pair_column, label_column=recipe.label_column, group_column=recipe.group_column,
        to_learn=to_learn,
    )  # fmt: skip
    if recipe.group_column != Recipe().group_column and not any(example.group for example in dataset.examples):
        raise DataError(
            f"no example of `{dataset.source}` has a `{recipe.group_column}`",
            "name a column of the table, or of the metadata file in the folder, with --group-column",
        )
    return dataset.joined() if recipe.folds else dataset


def _train(
    trainable: TrainablePart, features: FeatureSet, dataset: Dataset, task: Task, recipe: Recipe,
    earlier: Earlier | None, folder: OutputFolder,
) -> tuple[Splits, Adapted, OutOfFold | None]:  # fmt: skip
    """Adapt what lies above the cut; with folds, after all of them have been judged."""
    targets = task.encode(features.examples)
    checkpoint, listener = folder.checkpoints.at("model").of(dataset.fingerprint), folder.listener
    if not recipe.folds:
        splits = labelled_splits(features, targets)
        adapted = adapt(trainable, with_views(splits), task, recipe, listener, checkpoint=checkpoint)
        few = few_folds(dataset, recipe, earlier)
        return splits, settle_by_folds(trainable, adapted, splits, few, task, recipe), None
    folds = dataset.folds(recipe.folds, seed=recipe.seed, learnt=earlier.learnt if earlier else ())
    of = [folds.get(example.name, -1) for example in features.examples]
    found = cross_validate(
        trainable, features, targets, of, task, recipe, listener=listener, checkpoint=checkpoint.at("folds")
    )
    splits, adapted = train_on_all(
        trainable, features, targets, of, task, recipe, found, listener=listener, checkpoint=checkpoint
    )
    test = labelled_splits(features, targets).test
    return replace(splits, test=test), adapted, found


def _save(run: Run, findings: Findings, folder: OutputFolder) -> None:
    """Save and verify the model, measure the run, write report, card and record beside the weights, and finish."""
    model = run.model
    model.save(folder.model, sample=sample_inputs(model.backbone, run.features))
    record = replace(measure(run), **findings.for_record())
    first_look(folder.model, record)
    write_report(record, folder.model)
    write_card(record, folder.model, usage=model.usage)
    write_durably(folder.model / RECORD, json.dumps(record.to_dict(), indent=1).encode())
    model.folder = folder.publish()


def _without_unreadable(dataset: Dataset, features: FeatureSet, listener: Listener) -> Dataset:
    """Leave out what could not be decoded, name it, and say what else the user must know."""
    tell(dataset, features.skipped, listener)
    return dataset.without({skipped.name for skipped in features.skipped})
