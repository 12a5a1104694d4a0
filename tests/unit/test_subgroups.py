"""Where a model is weak, by group, folder and size: what is surely weak comes first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from headstart.evaluation.subgroups import MOST, subgroup_tables
from headstart.features.extract import FeatureSet
from headstart.intervals import wilson
from headstart.record import Table
from headstart.tasks.classification import Classification
from headstart.tasks.regression import Regression
from headstart.training.loop import Labelled
from headstart.types import Example


def tables(examples: list[Example], right: np.ndarray, task: Any = None) -> dict[str, Table]:
    kind = next(iter(examples[0].inputs))
    task = task or Classification(kind, ["a", "b"])
    targets = task.encode(examples)
    logits = 4.0 * np.eye(2)[np.where(right, targets, 1 - targets)] if task.outputs == 2 else right[:, None]
    judged = Labelled(FeatureSet(tuple(examples), (), {}, None), np.arange(len(examples)), targets)
    return {table.title: table for table in subgroup_tables(task, judged, logits)}


def texts(count: int, **changes: Any) -> list[Example]:
    fields = {name: changes.get(name, lambda n: None) for name in ("group",)}
    return [
        Example(f"row {n}", {"text": "x" * (10 + n % 30)}, "ab"[n % 2], group=fields["group"](n)) for n in range(count)
    ]


def test_a_weak_group_comes_before_a_small_one_that_looks_weaker() -> None:
    names = ["weak"] * 100 + ["tiny"] * 6 + ["good"] * 100 + ["three"] * 3
    right = np.array([n % 2 == 0 for n in range(100)] + [n < 2 for n in range(6)] + [True] * 103)
    found = tables(texts(len(names), group=names.__getitem__), right)["Group by group"]
    assert [row[0] for row in found.rows] == ["weak", "tiny", "good"]
    assert found.rows[0][1] == [0.5, *wilson(50, 100)]  # within one group, each example counts
    assert "1 of them has fewer than 20" in found.note
    assert "fewer than 5 examples are not listed: 1" in found.note


def test_long_inputs_may_be_harder_and_groups_widen_that() -> None:
    examples = texts(300)
    right = np.array([len(example.inputs["text"]) < 30 or n % 2 == 0 for n, example in enumerate(examples)])
    found = tables(examples, right)["Short and long"]
    assert [row[0] for row in found.rows][0] == "30 to 39 characters"
    assert sum(row[2] for row in found.rows) == 300
    grouped = tables(texts(300, group=lambda n: str(n % 60)), right)["Short and long"]
    assert grouped.rows[0][1][1] <= found.rows[0][1][1]


def test_folders_that_are_nothing_but_classes_say_nothing(tmp_path: Path) -> None:
    def photos(place: str) -> list[Example]:
        made = []
        for n in range(40):
            file = tmp_path / f"{n}.png"
            file.write_bytes(b"x" * (100 + n))
            made.append(Example(place.format(label="ab"[n % 2], camera=n // 2 % 2, n=n), {"image": file}, "ab"[n % 2]))
        return made

    right = np.arange(40) % 4 > 0
    assert "Folder by folder" not in tables(photos("test/{label}/{n}.png"), right)
    assert "Folder by folder" not in tables(photos("{n}.png"), right)
    by_folder = tables(photos("{label}/camera{camera}/{n}.png"), right)["Folder by folder"]
    assert [row[0] for row in by_folder.rows][0] == "a/camera0"
    assert len(tables(photos("{n}.png"), right)["Small and large files"].rows) == 3
    for file in tmp_path.iterdir():
        file.unlink()
    gone = [Example(str(n), {"image": tmp_path / f"{n}.png"}, "ab"[n % 2]) for n in range(40)]
    assert tables(gone, right) == {}


def test_many_groups_are_cut_to_the_weakest() -> None:
    found = tables(texts(400, group=lambda n: str(n // 8)), np.random.default_rng(0).random(400) < 0.8)[
        "Group by group"
    ]
    assert len(found.rows) == MOST
    assert f"{MOST} of 50" in found.note
    ends = [row[1][2] for row in found.rows]
    assert ends == sorted(ends)


def test_numbers_have_subgroups_too() -> None:
    random = np.random.default_rng(0)
    examples = [
        Example(f"row {n}", {"text": "x" * (1 + n % 50)}, float(random.normal()), group="ab"[n % 2]) for n in range(120)
    ]
    said = np.array([example.target for example in examples]) + 0.3 * random.normal(size=120)
    found = tables(examples, said, Regression("text", 0.0, 1.0, 1.0))["Group by group"]
    assert found.columns[1] == "eval_r2"
    assert all(low <= score <= high for _, (score, low, high), _ in found.rows)


def test_equal_lengths_are_not_divided() -> None:
    examples = [Example(f"row {n}", {"text": "same"}, "ab"[n % 2]) for n in range(60)]
    assert tables(examples, np.ones(60, bool)) == {}
