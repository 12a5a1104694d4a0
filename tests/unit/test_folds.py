"""Cross-validation: each example is judged once by what has not seen it, for one pass of the frozen part."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart import api
from headstart import model as model_module
from headstart.data.split import assign_folds
from headstart.errors import DataError, UsageError
from headstart.tasks.classification import Classification
from headstart.training.adapt import Adapted
from headstart.training.folds import _calibrated, settle_by_folds, vectors_of
from headstart.training.loop import pooled_vectors
from headstart.training.recipe import Recipe
from headstart.types import Example
from networks import write_network
from samples import reviews, write_reviews, write_table

ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30)), min_size=12, max_size=80)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(model_module, "_verify", lambda *_: None)
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


def fit(folder: Path, data: Path, **settings: Any) -> Any:
    network = folder / "network"
    if not network.exists():
        write_network(network)
    settings = {"keep": "all", "freeze": "all", "epochs": 2, "folds": 4, **settings}
    record = api.fit(data, backbone=str(network), output_dir=folder / "model", **settings).record
    assert record is not None
    return record


@given(ROWS, st.integers(0, 3))
def test_groups_stay_together_and_classes_are_spread(rows: list[tuple[int, int]], seed: int) -> None:
    examples = [
        Example(str(n), {"text": str(n)}, f"class {label}", group=f"group {group}")
        for n, (label, group) in enumerate(rows)
    ]
    if len({example.group for example in examples}) < 3:
        return
    folds = assign_folds(examples, [e.name for e in examples], folds=3, seed=seed)
    assert len({(e.group, fold) for e, fold in zip(examples, folds, strict=True)}) == len({e.group for e in examples})
    assert set(folds) == {0, 1, 2}


@given(st.lists(st.integers(3, 40), min_size=1, max_size=4))
def test_single_examples_are_spread_evenly(sizes: list[int]) -> None:
    examples = [
        Example(f"{label} {n}", {"text": ""}, f"class {label}") for label, size in enumerate(sizes) for n in range(size)
    ]
    folds = assign_folds(examples, [e.name for e in examples], folds=3)
    counts = Counter(zip((e.target for e in examples), folds, strict=True))
    for label, size in enumerate(sizes):
        found = [counts[f"class {label}", fold] for fold in range(3)]
        assert sum(found) == size
        assert max(found) - min(found) <= 1


def test_fewer_groups_than_folds_are_refused() -> None:
    examples = [Example(str(n), {"text": str(n)}, "x", group="one") for n in range(9)]
    with pytest.raises(DataError, match="3 folds"):
        assign_folds(examples, [e.name for e in examples], folds=3)
    with pytest.raises(UsageError, match="`2`"):
        Recipe(folds=2)


@pytest.mark.parametrize("freeze", ["all", 2])
def test_every_example_is_judged_once_and_computed_once(tmp_path: Path, freeze: int | str) -> None:
    record = fit(tmp_path, write_reviews(tmp_path / "a.csv", 32), freeze=freeze)
    assert Counter(one.name for one in record.judged) == {f"row {n}": 1 for n in range(1, 33)}
    assert record.cache["computed"] == 32
    assert record.test_examples == 32
    assert record.sizes == {"train": 32, "validation": 0, "test": 0}
    assert record.folds["count"] == 4
    assert len(record.folds["scores"]) == 4
    assert record.metrics["eval_accuracy"] == pytest.approx(np.mean(record.folds["scores"]))
    assert record.metrics["eval_accuracy_ci_low"] < record.metrics["eval_accuracy"]
    known = {name for name, control in record.baselines.items() if control}
    assert known == {"majority", "simple", "linear_probe"}
    assert "each judged by a model that had not seen it" in (tmp_path / "model" / "report.html").read_text()


def test_labels_of_chance_are_not_learnt_from_the_judged(tmp_path: Path) -> None:
    """Where texts say nothing of the label, an honest score is near chance, whatever the training score."""
    random = np.random.default_rng(0)
    rows = [row | {"label": str(random.integers(2))} for row in reviews(80)]
    record = fit(tmp_path, write_table(tmp_path / "a.csv", rows), baselines=False)
    assert record.metrics["eval_accuracy"] < 0.7


def test_a_test_split_of_the_user_s_is_judged_once_by_the_model_that_is_kept(tmp_path: Path) -> None:
    rows = [row | {"split": "test" if n < 8 else "train"} for n, row in enumerate(reviews(32))]
    record = fit(tmp_path, write_table(tmp_path / "a.csv", rows), baselines=False)
    assert {one.name for one in record.judged} == {f"row {n}" for n in range(1, 9)}
    assert record.test_examples == 8
    assert record.folds["judged"] is False
    assert 0 <= record.validation["eval_accuracy"] <= 1
    assert "it had never seen" in (tmp_path / "model" / "report.html").read_text()


def test_several_labels_are_judged_with_the_thresholds_of_their_folds(tmp_path: Path) -> None:
    rows = [row | {"label": [row["label"], *(["long"] if n % 3 else [])]} for n, row in enumerate(reviews(40))]
    record = fit(tmp_path, write_table(tmp_path / "a.jsonl", rows))
    assert record.task == "text-multilabel"
    assert record.metrics["eval_f1_micro"] >= 0.5
    assert record.test_examples == 40


def test_a_linear_head_is_settled_on_what_heads_say_that_have_not_learnt_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where texts say nothing of the label, heads that know the answers would be right far more often than chance."""
    kept: list[Adapted] = []

    def settle(*given: Any) -> Adapted:
        kept.append(settle_by_folds(*given))
        return kept[-1]

    monkeypatch.setattr(api, "settle_by_folds", settle)
    random = np.random.default_rng(0)
    rows = [row | {"label": str(random.integers(2)), "group": str(n // 2)} for n, row in enumerate(reviews(120))]
    record = fit(tmp_path, write_table(tmp_path / "a.csv", rows), folds=0, baselines=False)
    held_out = kept[0].held_out
    assert held_out is not None
    assert len(held_out.labelled) == record.sizes["train"] + record.sizes["validation"]
    assert (held_out.logits.argmax(1) == held_out.labelled.targets).mean() < 0.65
    assert {held_out.labelled.features.examples[place].split for place in held_out.labelled.indices} == {
        "train", "validation",
    }  # fmt: skip


def test_what_the_head_read_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headstart.evaluation import growth

    seen: list[bool] = []

    def compared(trainable: Any, adapted: Adapted, splits: Any) -> np.ndarray:
        found = vectors_of(trainable, adapted, splits)
        again = pooled_vectors(adapted.probe or trainable, splits.outside_test)
        seen.append(np.allclose(found, again, atol=1e-5))
        return found

    monkeypatch.setattr(growth, "vectors_of", compared)
    fit(tmp_path, write_reviews(tmp_path / "a.csv", 60), folds=0, freeze=2, baselines=False)
    assert seen == [True]


def test_each_fold_is_calibrated_on_the_others() -> None:
    """Labels of one fold that all its answers miss change the temperature of the others, and not its own."""
    random = np.random.default_rng(0)
    task = Classification("text", ["a", "b"])
    raw = [3 * random.normal(size=(200, 2)) for _ in range(3)]
    targets = [(random.random(200) < 1 / (1 + np.exp((one[:, 0] - one[:, 1]) / 2))).astype(int) for one in raw]
    before = _calibrated(task, raw, targets)
    after = _calibrated(task, raw, [1 - raw[0].argmax(1), *targets[1:]])
    assert np.array_equal(before[0], after[0])
    assert np.abs(after[1]).mean() < 0.7 * np.abs(before[1]).mean() < 0.5 * np.abs(raw[1]).mean()
    assert task.temperature is None
