"""Each task from a file to predictions: by the commands, and as transformers reads the saved folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart import api
from headstart import model as model_module
from headstart.backbones.contract import quiet
from headstart.cli import main
from headstart.data.walk import walk
from headstart.errors import UsageError
from networks import write_network
from samples import THINGS, WORDS, reviews, write_photos, write_sounds, write_table

KEYS = {
    "multilabel": {"input", "labels", "scores"},
    "regression": {"input", "value"},
    "classification": {"input", "label", "score", "scores"},
    "tagging": {"input", "tokens", "tags", "scores", "spans"},
}


def several(row: dict[str, str], number: int) -> list[str]:
    return [row["label"], *(["odd"] if number % 2 else [])]


def write_texts(folder: Path, target: Callable[[dict[str, str], int], Any]) -> Path:
    rows = [{"text": row["text"], "label": target(row, n)} for n, row in enumerate(reviews(32))]
    return write_table(folder / "texts.jsonl", rows)


def write_pairs(folder: Path) -> Path:
    rows = [row | {"text_pair": THINGS[n % 2]} for n, row in enumerate(reviews(32))]
    return write_table(folder / "pairs.csv", rows)


def write_conll(folder: Path) -> Path:
    kinds = {word: f"B-{name}" for name, words in zip(("GOOD", "BAD"), WORDS, strict=False) for word in words}
    path = folder / "words.conll"
    texts = [row["text"].replace(",", " ,").replace(".", " .").split() for row in reviews(32)]
    path.write_text("\n".join("".join(f"{w} {kinds.get(w, 'O')}\n" for w in words) for words in texts))
    return path


def write_media(folder: Path, write: Callable[..., Path], target: Callable[[int], Any]) -> Path:
    root = write(folder / "media", per_class=12)
    files = sorted(path.relative_to(root).as_posix() for path in walk(root))
    write_table(root / "metadata.jsonl", [{"file_name": f, "label": target(n)} for n, f in enumerate(files)])
    return root


DATA: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "text-multilabel": ("bert", lambda folder: write_texts(folder, several)),
    "text-regression": ("bert", lambda folder: write_texts(folder, lambda row, n: len(row["text"]) + 0.5)),
    "text-classification": ("bert", write_pairs),
    "token-tagging": ("bert", write_conll),
    "image-multilabel": ("vit", lambda folder: write_media(folder, write_photos, lambda n: ["x"] * (n > 11) + ["y"])),
    "image-regression": ("vit", lambda folder: write_media(folder, write_photos, lambda n: 1000.0 + n)),
    "audio-regression": ("whisper", lambda folder: write_media(folder, write_sounds, lambda n: n / 7)),
}


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def says(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[Any]]:
    """Run a command that must succeed and return the JSON objects it prints."""

    def run(*arguments: object) -> list[Any]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert ended.value.code == 0, said.err
        return [json.loads(line) for line in said.out.splitlines() if line]

    return run


def inputs_of(data: Path) -> Path:
    if not data.is_dir():
        return data
    return next(path for path in walk(data) if path.suffix in {".png", ".wav"})


@pytest.mark.parametrize("task", sorted(DATA))
def test_from_a_file_to_predictions(
    task: str, tmp_path: Path, says: Callable[..., list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_module, "_verify", lambda *_: None)
    family, write = DATA[task]
    network, data, folder = write_network(tmp_path / "network", family), write(tmp_path), tmp_path / "model"
    (said,) = says(
        "fit", data, "--task", task, "--backbone", network, "--output-dir", folder, "--no-baselines", "--json"
    )
    assert said["task"] == task
    metric = f"eval_{api.load(folder).task.metric}"
    assert said["metrics"][f"{metric}_ci_low"] <= said["metrics"][metric] <= said["metrics"][f"{metric}_ci_high"]
    predictions = says("predict", folder, inputs_of(data), "--json")
    assert all(set(one) - {"unsure"} == KEYS[task.partition("-")[2]] for one in predictions)
    (measured,) = says("evaluate", folder, data, "--json")
    assert measured["examples"] == said["test_examples"]
    assert measured["metrics"][metric] == pytest.approx(said["metrics"][metric], abs=0.05)
    assert (folder / "report.html").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "head", "named"),
    [
        ("text-multilabel", "pooler", "BertForSequenceClassification"),
        ("text-multilabel", "mean", "HeadstartForClassification"),
        ("text-regression", "pooler", "BertForSequenceClassification"),
        ("token-tagging", "tokens", "BertForTokenClassification"),
        ("image-multilabel", "cls", "ViTForImageClassification"),
        ("image-regression", "cls", "ViTForImageClassification"),
    ],
)
def test_transformers_says_the_same(task: str, head: str, named: str, tmp_path: Path) -> None:
    from transformers import pipeline

    import headstart.hub

    family, write = DATA[task]
    network, data, folder = write_network(tmp_path / "network", family), write(tmp_path), tmp_path / "model"
    model = api.fit(
        data, task=task, head=head, backbone=str(network), freeze=2, epochs=2, baselines=False, output_dir=folder
    )
    (architecture,) = json.loads((folder / "config.json").read_text())["architectures"]
    assert architecture == named
    given = "A good film , bad like the book ." if model.kind == "text" else str(inputs_of(data))
    (ours,) = model.predict([given])
    with quiet():
        part = {"text": "tokenizer", "image": "image_processor"}[model.kind]
        generic = architecture.startswith("Headstart")
        network = headstart.hub.HeadstartForClassification.from_pretrained(folder) if generic else str(folder)
        predict = pipeline(model.task.pipeline, model=network, **{part: str(folder)}, **options(task))
        theirs = predict(given)
    if task == "token-tagging":
        assert [one["entity"] for one in theirs] == list(ours.tags)
        np.testing.assert_allclose([one["score"] for one in theirs], ours.scores, atol=1e-4)
        return
    found = {one["label"]: one["score"] for one in (theirs[0] if isinstance(theirs[0], list) else theirs)}
    wanted = {"value": ours.value} if task.endswith("regression") else dict(ours.scores)
    assert found == pytest.approx(wanted, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(("task", "head"), [("text-classification", "tokens"), ("token-tagging", "mean")])
def test_a_head_of_another_kind_of_task_is_refused(task: str, head: str, tmp_path: Path) -> None:
    network, data = write_network(tmp_path / "network"), DATA[task][1](tmp_path)
    with pytest.raises(UsageError, match=f"`{head}` does not fit the task `{task}`") as caught:
        api.fit(data, task=task, head=head, backbone=str(network), output_dir=tmp_path / "model")
    assert "choose `" in caught.value.hint
    assert not (tmp_path / "model").exists()


def test_column_names_are_texts(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="label_column"):
        api.fit(tmp_path, label_column=["a", "b"])


def options(task: str) -> dict[str, Any]:
    if task == "token-tagging":
        return {"ignore_labels": []}
    if task == "image-regression":
        return {"top_k": None, "function_to_apply": "none"}
    return {"top_k": None}
