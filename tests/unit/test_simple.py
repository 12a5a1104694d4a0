from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from headstart.data.dataset import Dataset, open_dataset
from headstart.evaluation import baselines
from headstart.evaluation.simple import SimpleModel, SimpleScores, descriptor_for
from headstart.events import Note
from headstart.preprocess.text import TextPreprocess
from headstart.registry import plugins
from headstart.tasks.contract import Task
from headstart.tasks.tagging import NOWHERE
from headstart.training.loop import Labelled
from headstart.types import Example
from samples import THINGS, WORDS, reviews, write_photos, write_sounds, write_table


class Words(TextPreprocess):
    """Every word is a step, but those beyond the seventh are not read."""

    def __init__(self) -> None:
        pass

    def word_steps(self, example: Example) -> list[int]:
        return [place if place < 7 else -1 for place in range(len(str(example.inputs["text"]).split()))]


def judged(dataset: Dataset, *, balance: bool = True) -> tuple[Task, SimpleScores, np.ndarray]:
    """Return the task of the data, what a simple model says of its test split, and the targets of that."""
    task = next(one for one in plugins("tasks").values() if type(one.form) is type(dataset.form)).of(dataset)
    task.read_with(Words())
    descriptor = descriptor_for(dataset.kind, per_step=task.head == "tokens")
    assert descriptor is not None
    targets, features = task.encode(dataset.examples), SimpleNamespace(examples=dataset.examples)
    model = SimpleModel(descriptor, dataset.examples, Words(), task, balance=balance)

    def part(name: str) -> Labelled:
        indices = np.array([i for i, e in enumerate(dataset.examples) if e.split == name], dtype=np.int64)
        return Labelled(features, indices, targets[indices])  # type: ignore[arg-type]

    return task, model.judge(part("train"), part("validation"), part("test")), part("test").targets


def score(dataset: Dataset, **options: Any) -> float:
    task, said, targets = judged(dataset, **options)
    assert "the best on validation" in said.note
    assert said.seconds > 0
    assert said.train_score > 0.9
    return said.task.metrics(said.logits, targets, intervals=False)[f"eval_{task.metric}"]


def texts(folder: Path, targets: Sequence[Any], **columns: Sequence[str]) -> Path:
    rows = [row | {"label": target} for row, target in zip(reviews(len(targets)), targets, strict=True)]
    for name, values in columns.items():
        rows = [row | {name: value} for row, value in zip(rows, values, strict=True)]
    return write_table(folder / "texts.jsonl", rows)


def form(task: str) -> Any:
    return plugins("tasks")[task].form


@pytest.mark.parametrize("balance", [True, False])
def test_words_decide_texts(tmp_path: Path, balance: bool) -> None:
    names = [row["label"] for row in reviews(80)]
    assert score(open_dataset(texts(tmp_path, names)), balance=balance) > 0.9


def test_pairs_are_known_by_what_they_share(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = []
    for number in range(240):
        one, other = random.choice(THINGS, 2, replace=False)
        second = one if number % 2 else other
        rows.append({"text": f"a {one} {number}", "text_pair": f"the {second}", "label": "yn"[number % 2]})
    assert score(open_dataset(write_table(tmp_path / "pairs.csv", rows))) > 0.9


def test_several_labels_have_thresholds_of_their_own(tmp_path: Path) -> None:
    labels = [[row["label"], *(["film"] if " film" in row["text"] else [])] for row in reviews(120)]
    dataset = open_dataset(texts(tmp_path, labels), forms=[form("multilabel")])
    assert score(dataset) > 0.9
    task, said, _ = judged(dataset)
    assert task.thresholds.tolist() == [0.5] * 3  # type: ignore[attr-defined]
    assert said.task is not task


def test_numbers_are_read_from_words(tmp_path: Path) -> None:
    values = [3.0 * (" film" in row["text"]) + 10 * (row["label"] == "positive") for row in reviews(160)]
    assert score(open_dataset(texts(tmp_path, values), forms=[form("regression")])) > 0.8


def test_tags_are_read_word_by_word_where_the_backbone_reads_them(tmp_path: Path) -> None:
    kinds = {word: f"B-{name}" for name, words in zip(("GOOD", "BAD"), WORDS, strict=False) for word in words}
    lines = [row["text"].replace(",", " ,").split() for row in reviews(80)]
    path = tmp_path / "words.conll"
    path.write_text("\n".join("".join(f"{word} {kinds.get(word, 'O')}\n" for word in words) for words in lines))
    dataset = open_dataset(path, forms=[form("tagging")])
    assert score(dataset) > 0.9
    _, said, targets = judged(dataset)
    assert targets.shape == (16, 7)
    assert said.logits.shape == (16, 7, 3)
    assert (said.logits[targets == NOWHERE] == 0).all()


@pytest.mark.parametrize("write", [write_photos, write_sounds])
def test_colours_and_pitches_are_told_apart(tmp_path: Path, write: Any) -> None:
    assert score(open_dataset(write(tmp_path / "data", classes=2, per_class=15))) > 0.9


def test_a_file_that_is_gone_costs_the_simple_model_alone(tmp_path: Path) -> None:
    notes: list[Note] = []
    run: Any = SimpleNamespace(
        features=SimpleNamespace(examples=[Example("a", {"image": tmp_path / "a.png"})]),
        backbone=SimpleNamespace(preprocess=Words()),
        model=SimpleNamespace(head=SimpleNamespace(per_step=False)),
        recipe=SimpleNamespace(balance=True),
        listener=notes.append,
    )
    task: Any = SimpleNamespace(kind="image")
    assert baselines._simple_model(run, task) is None
    assert "there is no simple model to compare with" in notes[0].text
    assert descriptor_for("video", per_step=False) is None
