"""How targets are read from data, what is left out by name, and which task the data pose by themselves."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from headstart.data.dataset import Dataset, open_dataset
from headstart.data.targets import TargetForm
from headstart.errors import DataError
from headstart.ranking.defaults import task_class, wanted_tasks
from headstart.training.recipe import Recipe
from samples import write_photos, write_table


def opened(path: Path, task: str = "auto", **settings: Any) -> Dataset:
    kind, forms = wanted_tasks(Recipe(task=task))
    return open_dataset(path, kind=kind, forms=forms, **settings)


def table(folder: Path, targets: list[Any], name: str = "data.jsonl", **more: list[Any]) -> Path:
    rows = [
        {"text": f"text number {n}", "label": target, **{key: values[n] for key, values in more.items()}}
        for n, target in enumerate(targets)
    ]
    return write_table(folder / name, rows)


def errors(dataset: Dataset) -> dict[str, str]:
    return {item.name: item.error for item in dataset.skipped}


# Several labels


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("data.jsonl", [["b", "a"], ["a"], [], ["b", "b "]]),
        ("data.csv", ["b;a", " a ", "", "b; b"]),
    ],
)
def test_several_labels_are_lists_or_have_semicolons(tmp_path: Path, name: str, targets: list[Any]) -> None:
    dataset = opened(table(tmp_path, targets * 3, name), "text-multilabel")
    assert [e.target for e in dataset.examples[:4]] == [("a", "b"), ("a",), (), ("b",)]
    assert dataset.labels == ("a", "b")
    assert sum(dataset.counts()[split]["a"] for split in ("train", "validation", "test")) == 6


@pytest.mark.parametrize("column", ["wet,cold", "wet, cold"])
def test_several_columns_say_yes_or_no(tmp_path: Path, column: str) -> None:
    rows = [{"text": f"t {n}", "wet": n % 2, "cold": ["yes", "no", "True"][n % 3]} for n in range(12)]
    rows += [{"text": "bad", "wet": "maybe", "cold": 1}, {"text": "empty", "wet": 1, "cold": ""}]
    dataset = opened(write_table(tmp_path / "a.csv", rows), label_column=column)
    assert task_class(dataset, Recipe()).name == "multilabel"
    assert [e.target for e in dataset.examples[:3]] == [("cold",), ("wet",), ("cold",)]
    assert errors(dataset) == {
        "row 13": "has `maybe` in column `wet`, which is neither 0 nor 1",
        "row 14": "has nothing in column `cold`",
    }


def test_labels_that_nothing_can_be_learnt_about_are_named(tmp_path: Path) -> None:
    rows = [{"text": f"t {n}", "wet": n % 2, "cold": 0, "grey": 1} for n in range(12)]
    notes = opened(write_table(tmp_path / "a.csv", rows), label_column="wet,cold,grey").notes
    assert any("No example has `cold`" in note for note in notes)
    assert any("Every example has `grey`" in note for note in notes)
    alike = opened(write_table(tmp_path / "b.csv", rows), label_column="cold,grey")
    with pytest.raises(DataError, match="the same classes"):
        task_class(alike, Recipe()).of(alike)


def test_an_unknown_column_among_several_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.csv", [{"text": "t", "wet": 1, "cold": 0}])
    with pytest.raises(DataError, match="no column `colt`") as caught:
        opened(path, label_column="wet,colt")
    assert "`cold`" in caught.value.hint
    assert "--label-column" in caught.value.hint


# Numbers


def test_numbers_are_read_and_what_is_none_is_named(tmp_path: Path) -> None:
    targets = [1, "2.5", -3e2, *range(20), None, float("nan"), "", "inf", "twelve", True, [1], "1_000"]
    dataset = opened(table(tmp_path, targets), "text-regression")
    assert [e.target for e in dataset.examples[:3]] == [1.0, 2.5, -300.0]
    assert dataset.labels == ()
    found = errors(dataset)
    assert list(found) == [f"row {n}" for n in range(24, 32)]
    assert found["row 24"] == found["row 26"] == "has no label"
    assert found["row 25"] == "has the target `nan`, which is no finite number"
    assert found["row 28"] == "has the target `twelve`, which is no finite number"


def test_a_column_without_numbers_is_refused_with_rows(tmp_path: Path) -> None:
    path = table(tmp_path, ["good", "bad", "good", 3.5])
    with pytest.raises(DataError, match="3 of 4 examples") as caught:
        opened(path, "text-regression")
    assert "`row 1` has the target `good`" in str(caught.value)
    assert "--label-column" in caught.value.hint
    assert "--task" in caught.value.hint


def test_the_splits_of_numbers_span_their_range(tmp_path: Path) -> None:
    dataset = opened(table(tmp_path, list(range(100)), "data.csv"), "text-regression")
    for name in ("train", "validation", "test"):
        values = [example.target for example in dataset.split(name)]
        assert min(values) < 20
        assert max(values) > 80
    assert (len(dataset.split("test")), len(dataset.split("validation"))) == (20, 20)


def test_folders_of_numbers_can_be_quantities(tmp_path: Path) -> None:
    root = write_photos(tmp_path / "photos", classes=3)
    for number, folder in enumerate(sorted(root.iterdir())):
        folder.rename(root / f"{number}.5")
    assert {e.target for e in opened(root, "image-regression").examples} == {0.5, 1.5, 2.5}


# Tags


def test_tags_are_as_many_as_words_or_the_row_is_named(tmp_path: Path) -> None:
    rows = [{"tokens": ["a", "b", str(n)], "tags": ["O", "B-x", "O"]} for n in range(10)]
    rows += [{"tokens": ["a", "b"], "tags": ["O"]}, {"tokens": ["a b"], "tags": ["O"]}, {"tokens": [], "tags": []}]
    dataset = opened(write_table(tmp_path / "a.jsonl", rows))
    assert task_class(dataset, Recipe()).name_for("text") == "token-tagging"
    assert dataset.examples[0].inputs == {"text": "a b 0"}
    assert dataset.labels == ("B-x", "O")
    assert errors(dataset) == {
        "row 11": "has 1 tags for 2 words",
        "row 12": "has the word `a b`, which is not one",
        "row 13": "has no words",
    }


def test_a_conll_file_has_a_word_a_line(tmp_path: Path) -> None:
    text = "-DOCSTART- -X- O O\n\nEU NNP I-NP B-ORG\nleft VBD I-VP O\n\n\nParis NNP I-NP B-LOC\r\nslept\n\n"
    path = tmp_path / "news.conll"
    path.write_text(text + "He O\nslept O\n\n" * 8, encoding="utf-8")
    dataset = opened(path)
    assert dataset.examples[0].inputs == {"text": "EU left"}
    assert dataset.examples[0].target == ("B-ORG", "O")
    assert errors(dataset) == {"row 2": "has a word without a tag in line 8"}


def test_conll_files_may_be_one_a_split(tmp_path: Path) -> None:
    for name in ("train", "test"):
        (tmp_path / f"{name}.conll").write_text("\n".join(f"He O\nis O\n{name}{n} B-x\n" for n in range(6)))
    dataset = opened(tmp_path)
    assert Counter(e.split for e in dataset.examples)["test"] == 6


@pytest.mark.parametrize("content", ["", "\n\n", "word\n\nword\n", "-DOCSTART- O\n"])
def test_a_conll_file_without_tags_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.conll").write_text(content)
    with pytest.raises(DataError, match=r"a\.conll"):
        opened(tmp_path / "a.conll")


# Pairs


def test_a_second_text_makes_a_pair(tmp_path: Path) -> None:
    path = table(tmp_path, ["x", "y"] * 6, "a.csv", text_pair=[*(f"other {n}" for n in range(11)), " "])
    dataset = opened(path)
    assert dataset.examples[0].inputs == {"text": "text number 0", "text_pair": "other 0"}
    assert errors(dataset) == {"row 12": "has nothing in column `text_pair`"}


def test_the_second_text_may_be_called_otherwise(tmp_path: Path) -> None:
    path = table(tmp_path, ["x", "y"] * 6, "a.csv", answer=[f"other {n}" for n in range(12)])
    assert "text_pair" not in opened(path).examples[0].inputs
    dataset = opened(path, text_pair_column="answer")
    assert dataset.examples[0].inputs["text_pair"] == "other 0"
    with pytest.raises(DataError, match="no column `answr`") as caught:
        opened(path, text_pair_column="answr")
    assert "`answer`" in caught.value.hint


# The task that nobody named


def test_many_different_numbers_are_told_and_nothing_is_switched(tmp_path: Path) -> None:
    dataset = opened(table(tmp_path, [n / 7 for n in range(30)], "a.csv"))
    assert task_class(dataset, Recipe()).name == "classification"
    assert "--task text-regression" in dataset.notes[0]


@pytest.mark.parametrize("values", [[1, 2, 3, 4, 5] * 6, list(range(1990, 2004)) * 30])
def test_a_few_numbers_are_classes(tmp_path: Path, values: list[int]) -> None:
    assert opened(table(tmp_path, values, "a.csv")).notes == ()


def test_labels_that_look_like_several_are_told(tmp_path: Path) -> None:
    dataset = opened(table(tmp_path, ["a;b", "a", "b", "a;b;c"] * 8, "a.csv"))
    assert "--task text-multilabel" in dataset.notes[0]


def test_numbers_among_texts_are_told_with_their_rows(tmp_path: Path) -> None:
    dataset = opened(table(tmp_path, ["good", 1] * 10))
    assert "numbers or booleans (as in `row 2`) and others texts (as in `row 1`)" in dataset.notes[0]


def test_every_form_is_swept() -> None:
    assert all(isinstance(form, TargetForm) for form in wanted_tasks(Recipe())[1])


def test_a_list_where_one_class_is_expected_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    rows = [{"text": f"t {n}", "label": ["x", "y"][n % 2] if n else ["x"]} for n in range(12)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert errors(opened(path)) == {"row 1": "has the label `['x']`, which is no single class"}


def test_data_of_another_task_are_refused_with_rows_and_the_way_out(tmp_path: Path) -> None:
    path = table(tmp_path, [["a", "b"], ["a"]] * 6)
    with pytest.raises(DataError, match="12 of 12 examples") as caught:
        opened(path, "text-classification")
    assert "`row 1` has the label `['a', 'b']`" in str(caught.value)
    assert "--task" in caught.value.hint
