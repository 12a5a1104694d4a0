"""Objects of Hugging Face's `datasets` are data like any other, and what that package saves is read without it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headstart.data.dataset import open_dataset
from headstart.data.objects import data_path
from headstart.errors import UsageError
from samples import reviews, tone, write_photos

datasets = pytest.importorskip("datasets")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()


def test_a_path_stays_a_path(tmp_path: Path) -> None:
    assert data_path(str(tmp_path)) == data_path(tmp_path) == tmp_path


@pytest.mark.parametrize("data", [None, 3, ["a"], {"text": ["a"]}, np.zeros(3)])
def test_other_objects_are_refused(data: object) -> None:
    with pytest.raises(UsageError, match=f"`{type(data).__name__}`"):
        data_path(data)


def test_a_data_set_is_written_once_and_read(tmp_path: Path) -> None:
    rows = reviews(24)
    made = datasets.Dataset.from_list(rows)
    assert data_path(made) == data_path(datasets.Dataset.from_list(rows))
    assert data_path(made) != data_path(made.select(range(12)))
    dataset = open_dataset(data_path(made.shuffle(seed=1)))
    assert {example.inputs["text"] for example in dataset.examples} == {row["text"] for row in rows}


def test_splits_and_class_names_come_along() -> None:
    made = datasets.Dataset.from_list(reviews(24)).class_encode_column("label").train_test_split(0.25, seed=0)
    dataset = open_dataset(data_path(made))
    assert dataset.labels == ("negative", "positive")
    assert len(dataset.split("test")) == 6


def test_pictures_come_along(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos")
    made = datasets.load_dataset("imagefolder", data_dir=str(photos), split="train", cache_dir=str(tmp_path / "hf"))
    dataset = open_dataset(data_path(made))
    assert (dataset.kind, dataset.labels, len(dataset.examples)) == ("image", ("colour0", "colour1"), 12)
    read, given = (sorted(file.read_bytes() for file in files) for files in (
        (example.inputs["image"] for example in dataset.examples), photos.rglob("*.png")
    ))  # fmt: skip
    assert read == given


def test_parquet_that_datasets_writes_keeps_class_names(tmp_path: Path) -> None:
    datasets.Dataset.from_list(reviews(24)).class_encode_column("label").to_parquet(tmp_path / "t.parquet")
    assert open_dataset(tmp_path / "t.parquet").labels == ("negative", "positive")


@pytest.mark.slow
def test_an_object_is_learnt_from_and_judged_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headstart import api
    from headstart import model as model_module
    from networks import write_network

    monkeypatch.setattr(model_module, "_verify", lambda *_: None)
    network = str(write_network(tmp_path / "network"))
    made = datasets.Dataset.from_list(reviews(48)).train_test_split(0.25, seed=0)
    model = api.fit(made, backbone=network, freeze="all", baselines=False, output_dir=tmp_path / "model")
    assert model.record.metrics["eval_accuracy"] == api.evaluate(model, made)["metrics"]["eval_accuracy"]


def test_recordings_come_along(tmp_path: Path) -> None:
    import io

    import soundfile

    rows = []
    for number in range(12):
        buffer = io.BytesIO()
        soundfile.write(buffer, tone(220.0 + number, 0.1, 16_000), 16_000, format="WAV")
        rows.append({"audio": {"bytes": buffer.getvalue(), "path": None}, "label": "ab"[number % 2]})
    made = datasets.Dataset.from_list(rows).cast_column("audio", datasets.Audio(decode=False))
    dataset = open_dataset(data_path(made))
    assert dataset.kind == "audio"
    assert all(example.inputs["audio"].suffix == ".wav" for example in dataset.examples)
