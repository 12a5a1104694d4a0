"""Would more data help: a curve over parts of the training examples, to which the test is nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart import api
from headstart import model as model_module
from headstart.evaluation.growth import measured
from headstart.record import Growth, Record
from headstart.tasks.classification import Classification
from headstart.tasks.regression import Regression
from networks import write_network
from samples import reviews, write_table


def curve(vectors: np.ndarray, targets: np.ndarray, groups: np.ndarray | None = None, task: Any = None) -> Growth:
    task = task or Classification("text", ["a", "b"])
    groups = np.arange(len(targets)) if groups is None else groups
    folds = np.random.default_rng(9).permutation(int(groups.max()) + 1)[groups] % 4
    return measured(task, vectors, targets, folds, groups, strength=0.1, balance=False)


def noisy(count: int, width: int, distance: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    targets = random.integers(2, size=count)
    vectors = random.normal(size=(count, width))
    vectors[:, 0] += distance * (2 * targets - 1)
    return vectors, targets


def test_where_there_is_more_to_learn_the_curve_rises_beyond_noise() -> None:
    found = curve(*noisy(400, 150, 2.0))
    assert [point.place for point in found.points] == [38, 75, 150, 300]
    assert found.points[-1].score > found.points[0].score + 0.1
    assert found.gain is not None
    assert found.gain.ci_low > 0
    assert {point.count for point in found.points} == {400}
    assert all(point.ci_low < point.score < point.ci_high for point in found.points)


def test_where_all_is_learnt_the_curve_is_flat() -> None:
    found = curve(*noisy(400, 3, 1.0))
    assert found.gain is not None
    assert found.gain.ci_low <= 0 <= found.gain.ci_high
    assert abs(found.gain.score) < 0.03


def test_groups_come_in_as_a_whole_and_make_the_curve_less_sure() -> None:
    """A speaker who is known already teaches nothing of the next: half of each speaker would look like all."""
    random = np.random.default_rng(1)
    speakers, targets = np.repeat(np.arange(40), 10), np.repeat(np.arange(40) % 2, 10)
    voices = random.normal(size=(40, 60))
    voices[:, 0] += 2.5 * (np.arange(40) % 2 * 2 - 1)
    vectors = voices[speakers] + 0.05 * random.normal(size=(400, 60))
    grouped, single = curve(vectors, targets, speakers), curve(vectors, targets)
    assert single.points[1].score > 0.95
    assert grouped.points[1].score < 0.9
    assert grouped.points[-1].ci_high - grouped.points[-1].ci_low > 0.1


def test_numbers_have_a_curve_and_too_many_classes_have_none() -> None:
    random = np.random.default_rng(2)
    vectors = random.normal(size=(200, 60))
    targets = vectors[:, 0] + 0.3 * random.normal(size=200)
    found = curve(vectors, targets, task=Regression("text", 0.0, 1.0, 1.0))
    assert found.points[-1].score > found.points[0].score
    classes = Classification("text", [f"class {n}" for n in range(100)])
    few = curve(vectors, random.integers(100, size=200), task=classes)
    assert few.gain is None
    assert "too few examples of each class" in few.missing


@pytest.fixture
def fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(model_module, "_verify", lambda *_: None)
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    network = write_network(tmp_path / "network")

    def run(name: str, rows: list[dict[str, Any]], **settings: Any) -> Record:
        settings = {"keep": "all", "freeze": "all", "baselines": False, **settings}
        data = write_table(tmp_path / f"{name}.csv", rows)
        record = api.fit(data, backbone=str(network), output_dir=tmp_path / name, **settings).record
        assert record is not None
        return record

    return run


@pytest.mark.parametrize("settings", [{}, {"freeze": 2, "epochs": 1}, {"folds": 3}])
def test_the_test_split_has_no_say(fit, settings: dict[str, Any]) -> None:
    """Other labels in the test split change its score and nothing of what is chosen or told besides."""
    rows = [row | {"split": "test" if n % 4 == 0 else "train"} for n, row in enumerate(reviews(120))]
    other = {"negative": "positive", "positive": "negative"}
    spoilt = [row | {"label": other[row["label"]]} if row["split"] == "test" else row for row in rows]
    one, two = fit("one", rows, **settings), fit("two", spoilt, **settings)
    assert one.metrics != two.metrics
    assert one.growth == two.growth
    assert one.growth.points
    assert one.calibration.temperature == two.calibration.temperature
    assert one.abstention.threshold == two.abstention.threshold


def test_few_examples_have_no_curve(fit) -> None:
    found = fit("few", reviews(24)).growth
    assert found.points == []
    assert "at least 40" in found.missing
