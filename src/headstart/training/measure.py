"""Measure what a run gained: the one look at the test split, the controls beside it, and how exact the cut was."""

from __future__ import annotations

import platform
import time
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch

from headstart.backbones.contract import Backbone
from headstart.cut import Features, TrainablePart, to_device
from headstart.data.dataset import Dataset
from headstart.events import Listener
from headstart.features.extract import FeatureSet, inputs_of
from headstart.model import Model
from headstart.record import Control, Judged, Record
from headstart.registry import plugin
from headstart.training.adapt import Adapted, Splits
from headstart.training.controls import FromScratch, control_of, majority
from headstart.training.loop import predict_logits
from headstart.training.recipe import Recipe

COMPARED = 16  # examples whose logits are compared with the uncut network
_LIBRARIES = ("headstart", "torch", "transformers", "openvino", "numpy", "scikit-learn", "safetensors")


class Stages:
    """Seconds by stage of a run, each from the end of the one before."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def end(self, stage: str) -> None:
        """Count the time since the last end as this stage's."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now


@dataclass(frozen=True)
class Run:
    """What a run has at its end, for measuring.

    Attributes:
        backbone: as it was opened, with all blocks. model: the adapted one. trainable: what was trained, on features.
    """

    recipe: Recipe
    dataset: Dataset
    backbone: Backbone
    keep: int
    features: FeatureSet
    splits: Splits
    trainable: TrainablePart
    adapted: Adapted
    model: Model
    stages: Stages
    listener: Listener


def measure(run: Run) -> Record:
    """Read the test split, for the only time in a run, and return all that is known of it."""
    model, dataset, features = run.model, run.dataset, run.features
    task, test = model.task, run.splits.test
    logits = None if test is None else predict_logits(run.trainable, test)
    difference, compared = max_abs_difference(run)
    baselines = _baselines(run, logits)
    run.stages.end("evaluate")
    seconds = run.stages.seconds | {"total": sum(run.stages.seconds.values())}
    return Record(
        task=task.full_name, kind=dataset.kind, first_metric=f"eval_{task.metric}",
        backbone=run.backbone.name, blocks=len(run.backbone.blocks), keep=run.keep, freeze=model.freeze,
        head=model.head.name, labels=dataset.labels,
        metrics=None if logits is None or test is None else task.metrics(logits, test.targets),
        metrics_missing="" if test else _why_untested(dataset), validation=_best_validation(run),
        test_examples=len(test) if test else 0, baselines=baselines,
        history=[asdict(event) for event in run.adapted.history], **_details(run, logits),
        counts={str(split): found for split, found in dataset.counts().items()},
        skipped=[asdict(one) for one in (*dataset.skipped, *features.skipped)],
        shortened=sum(model.backbone.preprocess.shortened(example) for example in features.examples),
        seconds=seconds, passes_avoided=_passes_avoided(run),
        cache={"hits": features.hits, "computed": features.computed, "bytes": features.bytes},
        engine=model.engine, numerics=plugin("engines", model.engine).numerics,
        max_abs_difference=difference, compared=compared, recipe=run.recipe.to_dict(),
        data={"source": dataset.source.name, "fingerprint": dataset.fingerprint, "notes": list(dataset.notes),
              "trained_on": _trained_on(dataset)},
        backbone_facts=_backbone_facts(run), environment=_environment(), seed_scores=run.adapted.seed_scores,
    )  # fmt: skip


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


def _baselines(run: Run, logits: np.ndarray | None) -> dict[str, Control | None]:
    names = ("majority", "simple", "linear_probe", "from_scratch", "from_scratch_converged")
    baselines: dict[str, Control | None] = dict.fromkeys(names)
    task, splits, test = run.model.task, run.splits, run.splits.test
    if not run.recipe.baselines or logits is None or test is None:
        return baselines
    baselines["majority"] = majority(task, splits.train.targets, test.targets)
    probe = run.adapted.probe
    note = "the adapted model is one itself" if probe is None else "no block thawed, the exact solution for the head"
    probed = logits if probe is None else predict_logits(probe, test)
    baselines["linear_probe"] = control_of(task, probed, test.targets, note=note)
    spent = run.features.pass_seconds + run.stages.seconds["train"]
    with FromScratch(run.backbone, run.model, keep=run.keep, recipe=run.recipe, features=run.features,
                     listener=run.listener) as scratch:  # fmt: skip
        if run.recipe.scratch_minutes > 0:  # first, so that the other starts from the learning rate found here
            limit = max(60 * run.recipe.scratch_minutes, spent)
            baselines["from_scratch_converged"] = scratch.run(
                splits, test, seconds=limit, name="from scratch, converged"
            )
        baselines["from_scratch"] = scratch.run(splits, test, seconds=spent, name="from scratch, equal time")
    return baselines


def _details(run: Run, logits: np.ndarray | None) -> dict[str, Any]:
    task, test = run.model.task, run.splits.test
    if logits is None or test is None:
        return {"confusion": [], "per_class": [], "judged": []}
    judged = []
    for index, prediction in zip(test.indices, task.decode(logits), strict=True):
        example = run.features.examples[index]
        shown = " | ".join(str(value) for value in example.inputs.values())
        judged.append(Judged(example.name, shown, str(example.target), prediction.label, prediction.score))
    return {**task.details(logits, test.targets), "judged": judged}


def _trained_on(dataset: Dataset) -> list[str]:
    """Return the content hashes of what was learnt from, so that no later evaluation counts it."""
    return sorted({dataset.hashes[e.name] for split in ("train", "validation") for e in dataset.split(split)})


def _why_untested(dataset: Dataset) -> str:
    if dataset.own_splits:
        return "the data have splits of their own, and no `test` among them"
    return "there are too few examples of each class to set some aside"


def _passes_avoided(run: Run) -> int:
    """Count the passes over an example that training without a cache would have run, less those computed."""
    epochs = sum(1 for event in run.adapted.history if event.epoch > 0)
    return max(0, epochs * len(run.splits.train) - run.features.computed)


def _best_validation(run: Run) -> dict[str, float]:
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


def _environment() -> dict[str, Any]:
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
