"""Splits: what is promised for every data set, and what is said where something is not possible."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.dataset import open_dataset
from headstart.data.split import assign_splits
from headstart.errors import DataError
from headstart.types import Example
from samples import reviews, write_table

CLASSES = st.lists(st.integers(1, 40), min_size=1, max_size=5)
GROUPED = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(0, 30)), min_size=1, max_size=80)


def singles(sizes: list[int]) -> list[Example]:
    return [
        Example(f"{label}-{number}", {"text": f"{label} {number}"}, f"class {label}")
        for label, size in enumerate(sizes)
        for number in range(size)
    ]


def divide(examples: list[Example], seed: int = 0) -> list[Example]:
    return assign_splits(examples, [str(e.inputs["text"]) for e in examples], seed=seed)[0]


def splits_of(examples: list[Example]) -> dict[str, str | None]:
    return {e.name: e.split for e in examples}


@given(CLASSES, st.integers(0, 3))
def test_every_class_is_divided_60_20_20_within_rounding(sizes: list[int], seed: int):
    found = Counter((e.target, e.split) for e in divide(singles(sizes), seed))
    for label, size in enumerate(sizes):
        test, validation = found[f"class {label}", "test"], found[f"class {label}", "validation"]
        assert abs(test - 0.2 * size) <= 0.5 if size >= 3 else test == 0
        assert abs(validation - 0.2 * size) <= 0.5 if size >= 4 else validation == 0
        assert found[f"class {label}", "train"] >= min(size, 2)


@given(CLASSES, st.randoms())
def test_the_division_depends_on_the_seed_alone(sizes: list[int], random):
    examples = singles(sizes)
    shuffled = random.sample(examples, len(examples))
    assert splits_of(divide(examples)) == splits_of(divide(shuffled))


def test_another_seed_divides_otherwise():
    examples = singles([40, 40])
    assert splits_of(divide(examples, 0)) != splits_of(divide(examples, 1))


@given(CLASSES, st.integers(1, 30))
def test_examples_of_another_class_change_nothing(sizes: list[int], more: int):
    examples = singles(sizes)
    extra = [Example(f"new-{n}", {"text": f"new {n}"}, "a new class") for n in range(more)]
    before, after = splits_of(divide(examples)), splits_of(divide(examples + extra))
    assert all(after[name] == split for name, split in before.items())


@given(st.integers(4, 60), st.integers(1, 20))
def test_examples_of_the_same_class_never_swap_test_and_validation(size: int, more: int):
    before, after = splits_of(divide(singles([size]))), splits_of(divide(singles([size + more])))
    assert all({before[name], after[name]} != {"test", "validation"} for name in before)


@given(GROUPED, st.integers(0, 2))
@settings(max_examples=200)
def test_groups_and_equal_contents_stay_together(rows: list[tuple[int, int, int]], seed: int):
    examples = [
        Example(f"{n}", {"text": f"text {content}"}, f"class {label}", group=f"group {group}" if group else None)
        for n, (label, group, content) in enumerate(rows)
    ]
    divided = divide(examples, seed)
    assert [e.name for e in divided] == [e.name for e in examples]
    together = defaultdict(set)
    for example in divided:
        together[example.inputs["text"]].add(example.split)
        if example.group:
            together[example.group].add(example.split)
    assert all(len(splits) == 1 for splits in together.values())
    assert {e.target for e in divided if e.split == "train"} == {e.target for e in examples}


@given(CLASSES, st.sampled_from([("train", "test"), ("train", "validation"), ("train", "validation", "test")]))
def test_the_users_own_splits_are_kept(sizes: list[int], names: tuple[str, ...]):
    examples = [Example(e.name, e.inputs, e.target, split=names[n % len(names)]) for n, e in enumerate(singles(sizes))]
    divided = divide(examples)
    for before, after in zip(examples, divided, strict=True):
        allowed = {before.split}
        if before.split == "train" and "validation" not in {e.split for e in examples}:
            allowed.add("validation")
        assert after.split in allowed


def test_few_speakers_are_divided_all_the_same():
    for speakers in (2, 3, 5):
        examples = [
            Example(f"{s}-{n}", {"text": f"{s} {n}"}, f"word {n % 5}", group=f"speaker {s}")
            for s in range(speakers)
            for n in range(10)
        ]
        found = Counter(e.split for e in divide(examples))
        assert found["test"] == 10
        assert found["validation"] == (10 if speakers > 2 else 0)


@pytest.mark.parametrize("per_class", [1, 2])
def test_too_few_to_hold_any_out(per_class: int):
    examples = singles([per_class] * 3)
    divided, notes = assign_splits(examples, [e.name for e in examples])
    assert {e.split for e in divided} == {"train"}
    assert f"with {per_class} example{'s'[: per_class - 1]} a class at most" in notes[0]
    assert "no test split" in notes[1]


def test_three_a_class_are_tested_but_not_validated():
    examples = singles([3, 3])
    divided, notes = assign_splits(examples, [e.name for e in examples])
    assert Counter(e.split for e in divided) == {"train": 4, "test": 2}
    assert len(notes) == 1
    assert "never the test split" in notes[0]


def test_classes_without_test_examples_are_told():
    examples = singles([20, 2, 1])
    assert assign_splits(examples, [e.name for e in examples])[1] == ["2 classes have no test example."]


def own(tmp_path: Path, *splits: str) -> list[str]:
    """Return the notes on reviews whose column `split` holds `splits` in turn."""
    rows = reviews(40)
    for number, row in enumerate(rows):
        row["split"] = splits[number // 2 % len(splits)]
    return list(open_dataset(write_table(tmp_path / "data.csv", rows)).notes)


def test_without_a_test_split_the_reason_is_said(tmp_path: Path):
    (note,) = own(tmp_path, "train", "validation")
    assert note.startswith("There is no test split, so no score is given")


def test_validation_is_cut_from_train(tmp_path: Path):
    rows = [{**row, "split": ("train", "test")[n // 2 % 2]} for n, row in enumerate(reviews(40))]
    dataset = open_dataset(write_table(tmp_path / "data.csv", rows))
    assert {s: sum(n.values()) for s, n in dataset.counts().items()} == {
        "train": 16,
        "validation": 4,
        "test": 20,
    }
    assert dataset.notes == ()


def test_train_alone_is_divided(tmp_path: Path):
    assert own(tmp_path, "train") == []


def test_only_held_out_examples_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match="no training examples"):
        own(tmp_path, "validation", "test")


def test_examples_that_name_no_split_go_to_train(tmp_path: Path):
    (note,) = own(tmp_path, "train", "validation", "test", "")
    assert note == "10 examples named no split and went into train."


def test_what_the_users_splits_share_is_told(tmp_path: Path):
    rows = [{**row, "split": "train", "group": "a"} for row in reviews(20)]
    rows += [{**row, "split": "validation", "group": "b"} for row in reviews(6, seed=1)]
    rows += [{**row, "split": "test", "group": "a"} for row in reviews(20)[:3]]
    rows += [{"text": "new", "label": "unseen", "split": "test", "group": "c"}]
    notes = open_dataset(write_table(tmp_path / "data.csv", rows)).notes
    assert notes[0].startswith("3 examples of the validation or test split are also in another split")
    assert notes[1] == "1 group is in more than one of the splits that the data came with."
    assert notes[2] == "1 class has no training example: `unseen`."
