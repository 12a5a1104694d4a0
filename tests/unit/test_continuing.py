"""A model that headstart saved as the backbone of the next: its head, its facts, and what it has learnt from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from headstart import api
from headstart import model as model_module
from headstart.backbones import open_backbone
from headstart.heads.contract import make_head
from headstart.model import Model
from headstart.tasks.classification import Classification
from headstart.tasks.regression import Regression
from headstart.training.continuing import Earlier, earlier_model
from networks import write_network
from samples import reviews, write_reviews, write_table

OUTPUTS = ("a.csv", 24)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(model_module, "_verify", lambda *_: None)
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


def fit(data: Path, backbone: Path, out: Path, **settings: Any) -> Model:
    settings = {"keep": "all", "freeze": "all", "epochs": 2, "baselines": False, **settings}
    return api.fit(data, backbone=str(backbone), output_dir=out, **settings)


@pytest.fixture
def first(tmp_path: Path) -> Model:
    network = write_network(tmp_path / "network")
    return fit(write_reviews(tmp_path / "a.csv", 24), network, tmp_path / "first", freeze=2)


def test_other_classes_get_a_new_head_on_the_trained_blocks(first: Model, tmp_path: Path) -> None:
    data = write_reviews(tmp_path / "b.csv", 36, classes=3, seed=5)
    second = fit(data, tmp_path / "first", tmp_path / "second")
    assert second.labels == ("negative", "neutral", "positive")
    old, new = first.backbone.network.state_dict(), second.backbone.network.state_dict()
    assert all(torch.equal(old[name], new[name]) for name in old)
    assert second.record is not None
    assert len(second.predict(["A good film."])) == 1


def test_licence_and_origin_are_carried_along(first: Model, tmp_path: Path) -> None:
    settings = tmp_path / "first" / "headstart.toml"
    settings.write_text(settings.read_text().replace('licence = "unknown"', 'licence = "MIT"'))
    second = fit(write_reviews(tmp_path / "b.csv", 24, seed=5), tmp_path / "first", tmp_path / "second")
    assert second.facts["licence"] == "MIT"
    assert second.facts["origin"] == first.facts["origin"]
    assert second.facts["continued"] == first.facts["backbone"]
    assert "MIT" in (tmp_path / "second" / "README.md").read_text()


def test_what_was_learnt_before_is_never_a_test(first: Model, tmp_path: Path) -> None:
    notes: list[str] = []
    more = [*reviews(24), *reviews(24, seed=5)]
    second = fit(
        write_table(tmp_path / "b.csv", more), tmp_path / "first", tmp_path / "second", seed=3,
        listener=lambda event: notes.append(getattr(event, "text", "")),
    )  # fmt: skip
    before, after = first.record, second.record
    assert before is not None
    assert after is not None
    learnt = set(before.data["trained_on"])
    assert learnt <= set(after.data["trained_on"])
    texts = {row["text"] for row in reviews(24)} - {one.input for one in before.judged}
    assert not texts & {one.input for one in after.judged}
    assert any("the backbone had learnt from them before" in note for note in notes)


def test_tests_of_the_user_s_that_were_learnt_before_are_left_out(first: Model, tmp_path: Path) -> None:
    rows = [row | {"split": "test"} for row in reviews(24)]
    rows += [row | {"split": "train"} for row in reviews(24, seed=5)]
    rows += [row | {"split": "test"} for row in reviews(8, seed=6)]
    record = fit(write_table(tmp_path / "b.csv", rows), tmp_path / "first", tmp_path / "second").record
    assert record is not None
    assert first.record is not None
    assert record.test_examples == 8 + len(first.record.judged)


def test_folds_never_judge_what_was_learnt_before(first: Model, tmp_path: Path) -> None:
    more = [*reviews(24), *reviews(24, seed=5)]
    record = fit(
        write_table(tmp_path / "b.csv", more), tmp_path / "first", tmp_path / "second", folds=3
    ).record  # fmt: skip
    assert record is not None
    assert first.record is not None
    texts = {row["text"] for row in reviews(24)} - {one.input for one in first.record.judged}
    assert not texts & {one.input for one in record.judged}


def test_the_same_question_starts_from_the_old_head(first: Model) -> None:
    earlier = earlier_model(open_backbone(first.folder or ""))
    assert earlier is not None
    task = Classification("text", first.labels)
    head = make_head(first.head.name, first.backbone.outputs, 2)
    earlier.start(head, task)
    assert torch.equal(head.linear.weight, first.head.linear.weight)
    other = make_head(first.head.name, first.backbone.outputs, 2)
    earlier.start(other, Classification("text", ["x", "y"]))
    assert not other.linear.weight.any()
    pooled = make_head("pooler", first.backbone.outputs, 2)
    earlier.start(pooled, task)
    assert not pooled.linear.weight.any()


def test_the_old_head_of_a_regression_is_brought_to_the_new_scale(first: Model) -> None:
    old = make_head("mean", first.backbone.outputs, 1)
    torch.nn.init.normal_(old.linear.weight)
    finished = Regression("text", 5.0, 2.0, 2.0).finish(old.linear)
    new, task = make_head("mean", first.backbone.outputs, 1), Regression("text", -1.0, 4.0, 4.0)
    Earlier(old, finished, {}, frozenset()).start(new, task)
    vectors = torch.randn(3, new.linear.in_features)
    theirs, ours = (head.linear(vectors).detach().numpy() for head in (old, new))
    assert [v.value for v in task.decode(ours)] == pytest.approx([v.value for v in finished.decode(theirs)], abs=1e-4)


def test_an_ordinary_folder_brings_nothing_along(tmp_path: Path) -> None:
    assert earlier_model(open_backbone(write_network(tmp_path))) is None
