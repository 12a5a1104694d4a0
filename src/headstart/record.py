"""What a run measured: the numbers behind the report, the model card and `fit --json`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headstart.types import Kind

REPORT_FILE = "report.html"
"""Where a model folder has the report that people read."""


@dataclass(frozen=True, slots=True)
class Control:
    """A baseline on the same test examples.

    Attributes:
        score: on the task's first metric, with the ends of its 95 % interval.
        seconds: what it took. epochs, train_score, converged: of a trained control, else None.
        note: how it was set up, in a sentence.
    """

    score: float
    ci_low: float
    ci_high: float
    seconds: float = 0.0
    epochs: float | None = None
    train_score: float | None = None
    converged: bool | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """One test example: what was expected and what was predicted, with its probability."""

    name: str
    input: str
    target: str
    predicted: str
    score: float


@dataclass(frozen=True, slots=True)
class Record:
    """Everything a report shows. All values are plain, so that `to_dict` is JSON.

    Attributes:
        metrics: on the test split, `eval_accuracy` and so on with `_ci_low` and `_ci_high`, or None without one.
        metrics_missing: why `metrics` is None.
        baselines: by name: majority, simple, linear_probe, from_scratch, from_scratch_converged.
        history: one entry an epoch, as events.EpochEnded.
        confusion: counts, [true][predicted], in the order of `labels`.
        per_class: rows with label, precision, recall, f1, support.
        judged: all test examples. counts: examples by split and class.
        skipped: `name` and `error` of inputs left out. shortened: texts longer than the backbone reads.
        depths: score at every depth on validation, where it was measured: rows with keep, score, ci_low, ci_high.
        seconds: prepare, frozen_pass, train, evaluate, total. cache: hits, computed, bytes.
        passes_avoided: frozen passes over an example that the cache saved in this run.
        max_abs_difference: largest difference of logits to the uncut float32 network, on `compared` examples.
        data: source, fingerprint, notes. backbone_facts: licence, origin, parameters, trained_parameters.
        environment: versions, threads, instruction set.
    """

    task: str
    kind: Kind
    first_metric: str
    backbone: str
    blocks: int
    keep: int
    freeze: int
    head: str
    labels: tuple[str, ...]
    metrics: dict[str, float] | None
    metrics_missing: str
    validation: dict[str, float]
    test_examples: int
    baselines: dict[str, Control | None]
    history: list[dict[str, Any]]
    confusion: list[list[int]]
    per_class: list[dict[str, Any]]
    judged: list[Judged]
    counts: Mapping[str, dict[str, int]]
    skipped: list[dict[str, str]]
    shortened: int
    seconds: dict[str, float]
    cache: dict[str, int]
    passes_avoided: int
    engine: str
    numerics: str
    max_abs_difference: float
    compared: int
    recipe: dict[str, Any]
    data: dict[str, Any]
    backbone_facts: dict[str, Any]
    environment: dict[str, Any]
    depths: list[dict[str, Any]] = field(default_factory=list)
    seed_scores: list[float] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Record:
        """Return the record that `to_dict` gave, read back from JSON."""
        values = dict(values)
        values["labels"] = tuple(values["labels"])
        values["baselines"] = {k: v and Control(**v) for k, v in values["baselines"].items()}
        values["judged"] = [Judged(**one) for one in values["judged"]]
        return cls(**values)
