"""Records of runs as they could have happened, for the tests of what reads a record."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from headstart.record import Abstention, Calibration, Control, Growth, Judged, Matrix, Point, Record
from headstart.tasks.classification import per_class_table

LABELS = {
    "image": ("daisy", "dandelion", "rose", "sunflower", "tulip"),
    "text": ("negative", "neutral", "positive"),
    "audio": ("down", "go", "left", "right", "stop", "up"),
}
BACKBONES = {"image": ("efficientnet-lite0", 18), "text": ("minilm", 13), "audio": ("whisper-base-en", 7)}
SENTENCES = (
    "The plot is thin and the ending worse, yet I would watch it again tomorrow.",
    "Good value, arrived on time, nothing to complain about.",
    "Two hours that I will never get back.",
)


def sample_record(kind: str = "image", **changes: Any) -> Record:
    """Return a record of a plausible run on `image`, `text` or `audio` data, with some fields changed."""
    labels = LABELS[kind]
    backbone, blocks = BACKBONES[kind]
    counts = _confusion(len(labels))
    record = Record(
        task=f"{kind}-classification",
        kind=kind,
        first_metric="eval_accuracy",
        backbone=backbone,
        blocks=blocks,
        keep=blocks - 1,
        freeze=blocks - 3,
        head="mean",
        labels=labels,
        metrics=_metrics(counts),
        metrics_missing="",
        validation={"eval_accuracy": 0.9, "eval_loss": 0.31},
        test_examples=int(counts.sum()),
        baselines=_baselines(len(labels)),
        history=_history(),
        sections=[
            per_class_table(_per_class(labels, counts)),
            Matrix(list(labels), counts.tolist()),
        ],
        judged=_judged(kind, labels, counts),
        counts={split: dict.fromkeys(labels, n) for split, n in (("train", 50), ("validation", 10), ("test", 32))},
        skipped=[{"name": f"{labels[0]}/broken.jpg", "error": "is truncated"}],
        shortened=3 if kind == "text" else 0,
        learning_seconds=35.9,
        seconds={"prepare": 1.9, "frozen_pass": 14.2, "train": 21.7, "evaluate": 2.4, "total": 68.0},
        cache={"hits": 0, "computed": 460, "bytes": 86_507_520},
        passes_avoided=4140,
        engine="openvino",
        numerics="float32",
        max_abs_difference=0.00031,
        compared=16,
        recipe={
            "task": f"{kind}-classification",
            "backbone": backbone,
            "keep": blocks - 1,
            "freeze": blocks - 3,
        }
        | {"head": "mean", "epochs": 10, "learning_rate": 1e-3, "cache": True, "seed": 0},
        data={
            "source": f"/home/someone/{kind}s",
            "fingerprint": "xxh3:6c1f0a4be0b1d9f2",
            "notes": ["no split was given: 60 % train, 15 % validation, 25 % test, stratified, seed 0"],
        },
        backbone_facts={
            "licence": "Apache-2.0",
            "origin": "a package of pinned weights, version 1.2.3",
            "sha256": "0d3f" * 16,
            "parameters": 4_652_008,
            "trained_parameters": 718_005,
        },
        environment={
            "versions": {"headstart": "0.1.0", "torch": "2.9.1", "transformers": "5.2.0"},
            "threads": 2,
            "instruction_set": "AVX2",
        },
        depths=[
            {"keep": depth, "score": score, "ci_low": score - 0.06, "ci_high": min(score + 0.05, 1.0)}
            for depth, score in enumerate(np.linspace(0.35, 0.92, blocks).round(3).tolist(), start=1)
        ],
        seed_scores=[0.87],
        calibration=_calibration(),
        abstention=_abstention(),
        growth=_growth(),
    )
    return dataclasses.replace(record, **changes)


def _confusion(classes: int) -> np.ndarray:
    counts = np.eye(classes, dtype=int) * 28
    for true in range(classes):
        counts[true, (true + 1) % classes] += 3
        counts[true, (true + 2) % classes] += 1
    return counts


def _metrics(counts: np.ndarray) -> dict[str, float]:
    from headstart.intervals import wilson

    correct, n = int(counts.trace()), int(counts.sum())
    low, high = wilson(correct, n)
    return {
        "eval_accuracy": correct / n,
        "eval_accuracy_ci_low": low,
        "eval_accuracy_ci_high": high,
        "eval_f1_macro": correct / n,
        "eval_loss": 0.42,
    }


def _baselines(classes: int) -> dict[str, Control | None]:
    chance = 1 / classes
    return {
        "majority": Control(chance, chance - 0.06, chance + 0.07, note="Always names the same class."),
        "simple": None,
        "linear_probe": Control(
            0.81, 0.74, 0.86, 9.6, 1, 0.99, True, "Logistic regression on the features after the last block."
        ),
        "from_scratch": Control(
            0.39,
            0.32,
            0.47,
            36.0,
            4.25,
            0.44,
            False,
            "The same network with random weights, given the same seconds.",
        ),
        "from_scratch_converged": Control(
            0.55, 0.47, 0.62, 180.0, 21, 0.97, False, "The same, with the best of three learning rates."
        ),
    }


def _history() -> list[dict[str, Any]]:
    head = [
        _epoch("head", number, loss, 1.2 - 0.1 * number, 0.7 + 0.02 * number, False)
        for number, loss in enumerate((1.3, 0.8, 0.5, 0.3, 0.1), start=1)
    ]
    losses = (None, 0.52, 0.33, 0.21, 0.14, 0.09, 0.06)
    validation = (
        (0.62, 0.8),
        (0.45, 0.84),
        (0.37, 0.88),
        (0.31, 0.9),
        (0.33, 0.9),
        (0.36, 0.88),
        (0.4, 0.88),
    )
    thawed = [
        _epoch("thawed", float(number), loss, *validation[number], number <= 3) for number, loss in enumerate(losses)
    ]
    return head + thawed


def _epoch(stage: str, epoch: float, train_loss: float | None, loss: float, accuracy: float, best: bool) -> dict:
    return {
        "stage": stage,
        "epoch": epoch,
        "train_loss": train_loss,
        "validation": {"eval_loss": loss, "eval_accuracy": accuracy},
        "seconds": 3.1 * epoch,
        "best": best,
    }


def _point(place: float, score: float, count: int) -> Point:
    from headstart.intervals import wilson

    return Point(place, score, *wilson(score * count, count), count)


def _calibration() -> Calibration:
    stated = (0.45, 0.6, 0.72, 0.83, 0.9, 0.95, 0.98, 0.99)
    before = [_point(place, place - 0.12 * (1 - place) - 0.06, 20) for place in stated]
    after = [_point(place - 0.06, place - 0.12 * (1 - place) - 0.06, 20) for place in stated]
    return Calibration(1.42, 0.071, 0.019, 0.048, before, after)


def _abstention() -> Abstention:
    curve = [_point(n / 20, 0.98 - 0.1 * (n / 20) ** 3, 8 * n) for n in range(2, 21)]
    return Abstention(curve, 0.71, _point(0.8, 0.8, 160), _point(0.8, 0.94, 128), 0.94)


def _growth() -> Growth:
    points = [_point(place, score, 200) for place, score in ((25, 0.61), (50, 0.74), (100, 0.83), (200, 0.88))]
    return Growth(points, Point(200, 0.05, 0.02, 0.08, 200))


def _per_class(labels: tuple[str, ...], counts: np.ndarray) -> list[dict[str, Any]]:
    from headstart.intervals import wilson

    def share(hits: int, total: int) -> list[float]:
        return [hits / total, *wilson(hits, total)]

    hits, predicted, true = counts.diagonal(), counts.sum(0), counts.sum(1)
    return [
        {"label": label, "precision": share(hits[i], predicted[i]), "recall": share(hits[i], true[i])}
        | {"f1": 2 * hits[i] / (predicted[i] + true[i]), "support": int(true[i])}
        for i, label in enumerate(labels)
    ]


def _judged(kind: str, labels: tuple[str, ...], counts: np.ndarray) -> list[Judged]:
    """Return one for every count of the confusion matrix; their media lie in a folder that is not there."""
    judged = []
    for true, predicted in np.ndindex(*counts.shape):
        for number in range(counts[true, predicted]):
            name = f"{labels[true]}/{predicted}-{number}"
            text = SENTENCES[(true + number) % len(SENTENCES)]
            score = 0.98 - 0.02 * number - 0.03 * (true + predicted) / len(labels)
            judged.append(
                Judged(name, text if kind == "text" else f"/gone/{name}", labels[true], labels[predicted], score)
            )
    return judged
