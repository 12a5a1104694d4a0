"""A temperature lies in the saved weights: whatever reads the folder states the calibrated probabilities."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import headstart
from headstart import api
from headstart import model as model_module
from headstart.backbones.contract import quiet
from headstart.cli import main
from headstart.model import Model
from headstart.tasks import classification
from networks import write_network
from samples import reviews, write_table

pytestmark = pytest.mark.slow
TEXTS = [
    "A good film.",
    "A dreadful book, poor like the lamp number 3.",
    "A meal.",
    "A lovely coat, boring like the song.",
]


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(model_module, "_verify", lambda *_: None)
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Fit texts a third of which are labelled wrongly; what the temperature would be is given."""
    rows = reviews(120)
    for number, row in enumerate(rows):
        row["label"] = rows[number - 1]["label"] if number % 3 == 0 else row["label"]
    data, network = write_table(tmp_path / "a.csv", rows), write_network(tmp_path / "network", "bert")

    def run(name: str, temperature: float, **settings: object) -> Model:
        monkeypatch.setattr(classification, "best_temperature", lambda *_: temperature)
        settings = {"keep": "all", "freeze": 2, "epochs": 2, "head": "pooler", "baselines": False, **settings}
        return api.fit(data, backbone=str(network), output_dir=tmp_path / name, **settings)

    return run


@pytest.mark.parametrize("freeze", [2, "all"])
def test_what_reads_the_folder_states_calibrated_probabilities(fit, tmp_path: Path, freeze: int | str) -> None:
    from transformers import pipeline

    plain, scaled = fit("plain", 1.0, freeze=freeze), fit("scaled", 2.5, freeze=freeze)
    with quiet():
        classify = pipeline("text-classification", model=str(tmp_path / "scaled"), top_k=None)
    for text, before in zip(TEXTS, plain.predict(TEXTS), strict=True):
        odds = np.log(before.score / (1 - before.score)) / 2.5
        stated = {row["label"]: row["score"] for row in classify([text])[0]}
        assert stated[before.label] == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-4)
        assert headstart.load(tmp_path / "scaled").predict([text])[0].score == pytest.approx(
            stated[before.label], abs=1e-4
        )
    assert plain.record is not None
    assert scaled.record is not None
    assert [one.predicted for one in plain.record.judged] == [one.predicted for one in scaled.record.judged]
    assert scaled.record.max_abs_difference <= plain.record.max_abs_difference
    found, before = scaled.record.calibration, plain.record.calibration
    assert found is not None
    assert before is not None
    assert (found.temperature, before.temperature) == (2.5, 1.0)
    assert found.ece_before == pytest.approx(before.ece_after, abs=1e-4)
    assert found.ece_after != found.ece_before


def test_going_on_from_a_calibrated_model_starts_from_what_it_states(fit, tmp_path: Path) -> None:
    first = fit("first", 2.5, freeze="all")
    again = api.fit(
        write_table(tmp_path / "b.csv", reviews(60, seed=7)), backbone=str(tmp_path / "first"), freeze="all",
        output_dir=tmp_path / "again", baselines=False,
    )  # fmt: skip
    assert again.labels == first.labels
    assert again.record is not None
    assert again.record.calibration is not None


def test_answers_below_the_threshold_are_marked(fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = fit("model", 1.0, answered_accuracy=0.0)
    settings = tmp_path / "model" / "headstart.toml"
    text = "\n".join(line for line in settings.read_text().splitlines() if "unsure_below" not in line)
    middle = float(np.median([one.score for one in model.predict(TEXTS)]))
    settings.write_text(text.replace("[model]", f"[model]\nunsure_below = {middle}"))
    texts = [part for text in TEXTS for part in ("--text", text)]
    for flag in ([], ["--json"]):
        with pytest.raises(SystemExit):
            main(["predict", str(tmp_path / "model"), *texts, *flag])
        lines = capsys.readouterr().out.splitlines()
        if flag:
            answers = [json.loads(line) for line in lines]
            assert [answer.get("unsure", False) for answer in answers] == [one["score"] < middle for one in answers]
            assert all(set(one) - {"unsure"} == {"input", "label", "score", "scores"} for one in answers)
        assert sum("unsure" in line for line in lines) == 2


def test_the_threshold_and_what_it_does_are_written_down(fit) -> None:
    model = fit("model", 1.0, answered_accuracy=0.75)
    assert model.record is not None
    found = model.record.abstention
    assert found is not None
    assert found.threshold == model.unsure_below
    assert headstart.load(model.folder).unsure_below == model.unsure_below
    assert found.curve[-1].place == 1
    assert found.curve[-1].score == pytest.approx(model.record.metrics["eval_accuracy"])
