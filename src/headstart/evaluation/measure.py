"""Measure what a run gained: the one look at the test split, the controls beside it, and how exact the cut was."""

from __future__ import annotations

import platform
import time
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headstart.backbones.contract import Backbone
from headstart.cut import Features, TrainablePart, to_device
from headstart.data.dataset import Dataset
from headstart.evaluation.baselines import NAMES, Baselines, baselines_by_folds, baselines_on_test
from headstart.evaluation.curves import curves_of
from headstart.evaluation.judging import judged
from headstart.evaluation.looks import now
from headstart.evaluation.subgroups import subgroup_tables
from headstart.evaluation.verdict import verdict_of
from headstart.events import Listener
from headstart.features.extract import FeatureSet, inputs_of
from headstart.journal import Decide, anew
from headstart.model import Model
from headstart.record import Record, Section
from headstart.registry import plugin
from headstart.tasks.contract import Task
from headstart.training.adapt import Adapted, Splits
from headstart.training.continuing import Earlier
from headstart.training.folds import OutOfFold
from headstart.training.loop import Labelled, predict_logits
from headstart.training.recipe import Recipe
from headstart.types import SPLITS

COMPARED = 16  # examples whose logits are compared with the uncut network
_LIBRARIES = (
    "headstart", "torch", "transformers", "tokenizers", "openvino", "numpy", "scipy", "scikit-learn", "safetensors",
    "pillow", "soundfile", "soxr",
)  # fmt: skip


class Stages:
    """Seconds by stage of a run, each from the end of the one before."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def end(self, stage: str, *, before: float = 0.0) -> None:
        """Count the time since the last end as this stage's, and what it had taken before a kill."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + before + now - self._last
        self._last = now


@dataclass(frozen=True)
class Run:
    """What a run has at its end, for measuring.

    Attributes:
        backbone: as it was opened, with all blocks. model: the adapted one. trainable: what was trained, on features.
        task: as it was while training; the model's own is the finished one.
        earlier: the adapted model that was the backbone. found: what cross-validation gave.
        decide: journals what the clock decides. resumed_from: where this run went on with one that was killed.
    """

    recipe: Recipe
    dataset: Dataset
    backbone: Backbone
    keep: int
    features: FeatureSet
    splits: Splits
    task: Task
    trainable: TrainablePart
    adapted: Adapted
    model: Model
    stages: Stages
    listener: Listener
    earlier: Earlier | None = None
    found: OutOfFold | None = None
    decide: Decide = anew
    resumed_from: dict[str, Any] | None = None

    @property
    def learning_seconds(self) -> float:
        """What the frozen pass over all examples, found ones included, and the training take."""
        return self.features.pass_seconds + self.stages.seconds["train"]


def measure(run: Run) -> Record:
    """Read the test split, for the only time in a run, and return all that is known of it."""
    model, dataset, features = run.model, run.dataset, run.features
    at = now()
    task, test, logits = _judged_on(run)
    difference, compared = max_abs_difference(run)
    baselines, curves = _baselines(run, test, logits), curves_of(run, test, logits)
    run.stages.end("evaluate")
    seconds = run.stages.seconds | {"total": sum(run.stages.seconds.values())}
    return Record(
        folds=_folds(run), learning_seconds=run.learning_seconds, task=task.full_name,
        kind=dataset.kind, first_metric=f"eval_{task.metric}",
        backbone=run.backbone.name, blocks=len(run.backbone.blocks), keep=run.keep, freeze=model.freeze,
        head=model.head.name, labels=dataset.labels,
        metrics=None if logits is None or test is None else task.metrics(logits, test.targets, groups=test.groups),
        metrics_missing="" if test else _why_untested(dataset), validation=_best_validation(run),
        test_examples=len(test) if test else 0,
        baselines={name: one.control if one else None for name, one in baselines.items()},
        verdict=None if logits is None or test is None else verdict_of(task, logits, test, baselines),
        history=[asdict(event) for event in run.adapted.history], pipeline=task.pipeline,
        sections=[] if logits is None or test is None else _sections(task, test, logits),
        judged=[] if logits is None or test is None else judged(task, test, logits),
        sizes={str(split): len(dataset.split(split)) for split in SPLITS},
        counts={str(split): found for split, found in dataset.counts().items()},
        skipped=[asdict(one) for one in (*dataset.skipped, *features.skipped)],
        shortened=sum(model.backbone.preprocess.shortened(example) for example in features.examples),
        seconds=seconds, passes_avoided=_passes_avoided(run),
        cache={"hits": features.hits, "computed": features.computed, "bytes": features.bytes},
        engine=model.engine, numerics=plugin("engines", model.engine).numerics,
        max_abs_difference=difference, compared=compared, recipe=run.recipe.to_dict(),
        data={"source": dataset.source.name, "fingerprint": dataset.fingerprint, "notes": list(dataset.notes),
              **_places(run), "trained_on": _trained_on(run), **_tested_on(run, test, at)},
        backbone_facts=_backbone_facts(run), environment=environment(), seed_scores=run.adapted.seed_scores,
        resumed_from=run.resumed_from, **curves,
    )  # fmt: skip


def _judged_on(run: Run) -> tuple[Task, Labelled | None, np.ndarray | None]:
    """Return what the scores are taken on: the test split, else what the folds held out, else nothing."""
    if run.splits.test:
        return run.model.task, run.splits.test, predict_logits(run.trainable, run.splits.test)
    if run.found:
        return run.found.task, run.found.judged, run.found.logits
    return run.model.task, None, None


def _folds(run: Run) -> dict[str, Any]:
    if run.found is None:
        return {}
    return {"count": run.recipe.folds, "scores": run.found.scores, "judged": run.splits.test is None}


def max_abs_difference(run: Run) -> tuple[float, int]:
    """Return the largest difference of logits between the cached way and the uncut float32 network.

    Returns:
        the difference, and on how many of the user's examples it was taken.
    """
    indices = spread_indices(run.features)
    with torch.no_grad():
        cached = run.trainable.eval()(to_device(run.features.batch(indices), run.trainable.device)).cpu().numpy()
    uncut = run.model.uncut_logits(sample_inputs(run.model.backbone, run.features))
    return float(np.abs(cached - uncut).max()), len(indices)


def spread_indices(features: FeatureSet) -> list[int]:
    """Return positions of some examples, evenly over the whole set."""
    return np.linspace(0, len(features) - 1, min(COMPARED, len(features))).round().astype(int).tolist()


def sample_inputs(backbone: Backbone, features: FeatureSet) -> Features:
    """Return inputs of some of the user's examples as one batch."""
    return inputs_of(backbone, [backbone.preprocess.decode(features.examples[i]) for i in spread_indices(features)])


def _baselines(run: Run, test: Labelled | None, logits: np.ndarray | None) -> Baselines:
    if logits is None or test is None:
        return dict.fromkeys(NAMES)
    if run.found and test is run.found.judged:
        return baselines_by_folds(run, run.found)
    return baselines_on_test(run, test, logits)


def _sections(task: Task, test: Labelled, logits: np.ndarray) -> list[Section]:
    return [*task.sections(logits, test.targets, groups=test.groups), *subgroup_tables(task, test, logits)]


def _trained_on(run: Run) -> list[str]:
    """Return the content hashes of what was learnt from, so that no later evaluation counts it."""
    dataset = run.dataset
    learnt = {dataset.hashes[e.name] for split in ("train", "validation") for e in dataset.split(split)}
    return sorted(learnt | (run.earlier.learnt if run.earlier else frozenset()))


def _places(run: Run) -> dict[str, str]:
    """Return the folders of this machine that it takes to run this again."""
    places = {"path": str(run.dataset.source.resolve())}
    if (folder := Path(run.recipe.backbone)).exists():
        places["backbone_path"] = str(folder.resolve())
    return places


def _tested_on(run: Run, test: Labelled | None, at: str) -> dict[str, Any]:
    """Return the content hashes of what was judged, so that another look at it is noticed, and the time `at` which."""
    if test is None:
        return {}
    names = (run.features.examples[index].name for index in test.indices)
    return {"tested_on": sorted(run.dataset.hashes[name] for name in names), "tested_at": at}


def _why_untested(dataset: Dataset) -> str:
    if dataset.own_splits:
        return "the data have splits of their own, and no `test` among them"
    return "there are too few examples of each class to set some aside"


def _passes_avoided(run: Run) -> int:
    """Count the passes over an example that training without a cache would have run, less those computed."""
    epochs = sum(1 for event in run.adapted.history if event.epoch > 0)
    return max(0, epochs * len(run.splits.train) - run.features.computed)


def _best_validation(run: Run) -> dict[str, float]:
    if run.found:
        return run.found.task.metrics(run.found.logits, run.found.judged.targets, groups=run.found.judged.groups)
    scored = [event.validation for event in run.adapted.history if event.validation]
    return dict(min(scored, key=lambda metrics: metrics["eval_loss"], default={}))


def _backbone_facts(run: Run) -> dict[str, Any]:
    model = run.model
    thawed = model.backbone.blocks[model.freeze :]
    return {
        "licence": model.facts.get("licence", "unknown"), "origin": model.facts.get("origin", "unknown"),
        "parameters": model.backbone.parameters, "fingerprint": run.backbone.fingerprint(),
        "trained_parameters": sum(p.numel() for part in (*thawed, model.head) for p in part.parameters()),
    }  # fmt: skip


def environment() -> dict[str, Any]:
    """Return what beside recipe, data and weights decides the bits: versions, threads, instruction set."""
    return {
        "python": platform.python_version(), "machine": platform.machine(), "system": platform.system(),
        "threads": torch.get_num_threads(), "instructions": torch.backends.cpu.get_cpu_capability(),
        **{name: _version(name) for name in _LIBRARIES if _version(name)},
    }  # fmt: skip


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
