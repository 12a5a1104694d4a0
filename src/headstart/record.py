"""What a run measured: the numbers behind the report, the model card and `fit --json`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from headstart.types import Kind

REPORT_FILE = "report.html"
"""Where a model folder has the report that people read."""
RECIPE = "recipe.toml"
"""What a run was asked for; the folder of a run that has only this is unfinished."""
SETTINGS = "headstart.toml"
"""What makes a folder a model that headstart saved."""


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
class Verdict:
    """What the intervals say pre-training gained.

    Attributes:
        key: one of three words that programs rely on.
        differences: by name of a baseline, how much better the adapted model is on the same test examples:
            `estimate`, `ci_low`, `ci_high`, `p_value`, `examples`.
        matters: the difference that a test should be able to see.
        needed: how many test examples that would take, where there are too few; else 0.
    """

    key: Literal["pretraining-helped", "no-difference", "simple-model-enough"]
    differences: dict[str, dict[str, float]]
    matters: float
    needed: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """One test example: what was expected and what was predicted.

    Attributes:
        score: how sure the model was, or None where it gives a quantity.
        error: how far off a quantity was, or None.
    """

    name: str
    input: str
    target: str
    predicted: str
    score: float | None = None
    error: float | None = None

    @property
    def right(self) -> bool:
        return self.predicted == self.target

    @property
    def weight(self) -> float:
        """What a report looks at first: how sure, or how far off."""
        return (self.score if self.error is None else self.error) or 0.0


@dataclass(frozen=True, slots=True)
class Table:
    """A section of a report: rows under named columns.

    Attributes:
        formats: of each column: `name`, `percent`, `number` or `count`.
        weakest_by: the column whose lowest values are shown where there are too many rows; None shows the first.
    """

    title: str
    columns: list[str]
    formats: list[str]
    rows: list[list[Any]]
    note: str = ""
    weakest_by: int | None = None
    kind: Literal["table"] = "table"


@dataclass(frozen=True, slots=True)
class Matrix:
    """A section of a report: how often each of `labels` (rows) was taken for each."""

    labels: list[str]
    counts: list[list[int]]
    title: str = "What is taken for what"
    kind: Literal["matrix"] = "matrix"


@dataclass(frozen=True, slots=True)
class Scatter:
    """A section of a report: predicted over true quantities, one point an example."""

    true: list[float]
    predicted: list[float]
    title: str = "Predicted and true values"
    kind: Literal["scatter"] = "scatter"


Section = Table | Matrix | Scatter
_SECTIONS: dict[str, type[Section]] = {"table": Table, "matrix": Matrix, "scatter": Scatter}


@dataclass(frozen=True, slots=True)
class Point:
    """A score somewhere along a curve, with the ends of its 95 % interval.

    Attributes:
        place: where: a stated probability, a share of the examples that is answered, a number of examples.
        count: of examples that it is of.
    """

    place: float
    score: float
    ci_low: float
    ci_high: float
    count: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """How well stated probabilities hold, before and after all logits were divided by the temperature.

    Attributes:
        ece_before, ece_after: expected calibration error, None where there was nothing to judge on.
        ece_by_chance: what an error stays below, 95 times in 100, where probabilities hold exactly.
        before, after: of bins of examples, the share that came true at the mean of the stated probabilities.
    """

    temperature: float
    ece_before: float | None = None
    ece_after: float | None = None
    ece_by_chance: float | None = None
    before: list[Point] = field(default_factory=list)
    after: list[Point] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Abstention:
    """What becomes of the answers when the least certain ones are not given.

    Attributes:
        curve: the share of right answers at shares of examples that are answered, from the surest on.
        threshold: the certainty below which an answer counts as unsure, None where none was found.
        answered, right: at the threshold, the share that is answered (of all), and of those the share that is right.
        wanted: the share of right answers that the threshold was to reach on the validation split.
    """

    curve: list[Point]
    threshold: float | None = None
    answered: Point | None = None
    right: Point | None = None
    wanted: float | None = None


@dataclass(frozen=True, slots=True)
class Growth:
    """The score by the number of training examples.

    Attributes:
        points: from few examples to all. gain: what the last step, from about half to all, added.
        missing: why nothing was measured, or empty.
    """

    points: list[Point] = field(default_factory=list)
    gain: Point | None = None
    missing: str = ""


_CURVES: dict[str, Any] = {"calibration": Calibration, "abstention": Abstention, "growth": Growth}


@dataclass(frozen=True, slots=True)
class Record:
    """Everything a report shows. All values are plain, so that `to_dict` is JSON.

    Attributes:
        metrics: on the test split, `eval_accuracy` and so on with `_ci_low` and `_ci_high`, or None without one.
        metrics_missing: why `metrics` is None.
        baselines: by name: majority, simple, linear_probe, from_scratch, from_scratch_converged.
        verdict: what follows from them, None where none was measured.
        history: one entry an epoch, as events.EpochEnded.
        sections: what the task shows of the test examples.
        judged: all test examples. counts: examples by split and class. sizes: examples by split.
        learning_seconds: what the frozen pass over all examples, found ones included, and the training take.
        folds: of a cross-validation: `count`, and `scores`, the first metric in each; else empty. The metrics are
            then those of all examples together, each judged by a model that had not seen it.
        pipeline: what transformers' pipelines call the task.
        skipped: `name` and `error` of inputs left out. shortened: texts longer than the backbone reads.
        depths: score at every depth on validation, where it was measured: rows with keep, score, ci_low, ci_high.
        seconds: prepare, frozen_pass, train, evaluate, total. cache: hits, computed, bytes.
        passes_avoided: frozen passes over an example that the cache saved in this run.
        max_abs_difference: largest difference of logits to the uncut float32 network, on `compared` examples.
        data: source, fingerprint, notes; path and perhaps backbone_path, which are for this machine alone; trained_on
            and tested_on, hashes of contents; tested_at, when the test was read.
        backbone_facts: licence, origin, parameters, trained_parameters.
        resumed_from: stage, part and epoch at which this run went on with one that was killed, else None.
        environment: versions, threads, instruction set.
        problems: of the data, the worst first: kind, what, advice, count, examples and the share of the test set.
        duplicates_across_splits: count, and test_share: the share of the test examples that have one.
        calibration, abstention, growth: None where they make no sense, or there was nothing to measure them on.
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
    sections: list[Section]
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
    sizes: dict[str, int] = field(default_factory=dict)
    learning_seconds: float = 0.0
    folds: dict[str, Any] = field(default_factory=dict)
    pipeline: str = ""
    verdict: Verdict | None = None
    calibration: Calibration | None = None
    abstention: Abstention | None = None
    growth: Growth | None = None
    problems: list[dict[str, Any]] = field(default_factory=list)
    duplicates_across_splits: dict[str, Any] = field(default_factory=dict)
    resumed_from: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Record:
        """Return the record that `to_dict` gave, read back from JSON.

        Raises:
            TypeError, KeyError, ValueError: it is another document.
        """
        values = dict(values)
        _require_types(values)
        values["labels"] = tuple(values["labels"])
        values["baselines"] = {k: v and Control(**v) for k, v in values["baselines"].items()}
        values["verdict"] = (found := values.get("verdict")) and Verdict(**found)
        values["judged"] = [Judged(**one) for one in values["judged"]]
        values["sections"] = [_SECTIONS[one["kind"]](**one) for one in values["sections"]]
        values |= {name: values.get(name) and kind(**_with_points(values[name])) for name, kind in _CURVES.items()}
        return cls(**values)


_PLAIN: dict[str, Any] = {"dict": dict, "Mapping": dict, "list": list, "str": str, "int": int, "float": (int, float)}


def _require_types(values: Mapping[str, Any]) -> None:
    """Raise TypeError where a field is not what its annotation says, so that nothing fails later, far from the file."""
    for one in dataclasses.fields(Record):
        annotation, value = str(one.type), values.get(one.name)
        wanted = _PLAIN.get(annotation.partition("[")[0])
        missing = value is None and (one.name not in values or "None" in annotation)
        if wanted and not missing and not isinstance(value, wanted):
            raise TypeError(f"`{one.name}` is no {annotation}")
    hashes = (values["data"].get(name, []) for name in ("trained_on", "tested_on"))
    for texts in (values["labels"], *hashes):
        if not (isinstance(texts, list | tuple) and all(isinstance(text, str) for text in texts)):
            raise TypeError("labels and hashes are lists of texts")


def _with_points(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a curve with its points, which JSON knows as objects."""

    def read(value: Any) -> Any:
        if isinstance(value, list):
            return [Point(**one) for one in value]
        return Point(**value) if isinstance(value, Mapping) else value

    return {name: read(value) for name, value in values.items()}
