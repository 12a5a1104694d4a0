"""Judge models that are there: again, against each other, and by running again what made them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headstart import api
from headstart import model as model_module
from headstart.checkpoints import hub
from headstart.cli import main
from headstart.errors import DataError, ModelError
from networks import write_network
from samples import reviews, write_reviews, write_table

Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a table and two models that were adapted to it."""
    place = tmp_path_factory.mktemp("made")
    network, data = write_network(place / "network"), write_reviews(place / "reviews.csv", 60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_CACHE", str(place / "cache"))
        patch.setattr(model_module, "_verify", lambda *_: None)
        for name, freeze in (("a", "all"), ("b", 2)):
            api.fit(data, backbone=str(network), freeze=freeze, epochs=2, baselines=False, output_dir=place / name)
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(model_module, "_verify", lambda *_: None)
    for name in ("a", "b"):
        shutil.copytree(made / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command and return its exit code, the JSON it prints or its text, and what it says beside."""

    def command(*arguments: object) -> tuple[int, Any, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return int(str(ended.value.code)), json.loads(said.out) if "--json" in arguments else said.out, said.err

    return command


def test_a_second_look_at_the_test_is_counted_and_said(made: Path, place: Path, run: Run) -> None:
    assert "read once" in (place / "a" / "report.html").read_text()
    code, said, beside = run("evaluate", place / "a", made / "reviews.csv")
    assert code == 0
    assert "looked at 2 times" in beside
    assert "looked at 2 times" in (place / "a" / "report.html").read_text()
    assert run("evaluate", place / "a", made / "reviews.csv", "--json")[1]["looks"] == 3
    new = write_reviews(place / "new.csv", 20, seed=5)
    assert run("evaluate", place / "a", new, "--json")[1]["looks"] == 1
    assert "looked at 3 times" in (place / "a" / "report.html").read_text()


def test_two_models_are_judged_on_the_same_examples(made: Path, place: Path, run: Run) -> None:
    code, said, _ = run("compare", place / "a", place / "b", "--json")
    assert code == 0
    assert said["examples"] == 12
    assert said["left_out"] == 48
    assert said["metric"] == "eval_accuracy"
    assert said["difference"] == pytest.approx(said["a"]["eval_accuracy"] - said["b"]["eval_accuracy"])
    assert said["ci_low"] <= said["difference"] <= said["ci_high"]
    assert 0 < said["p_value"] <= 1
    assert {one["label"] for one in said["per_class"]} == {"positive", "negative"}
    assert said["looks"] == {"a": 2, "b": 2}
    code, said, _ = run("compare", place / "a", place / "a", made / "reviews.csv")
    assert code == 0
    assert "No difference beyond noise: in accuracy A is no better than B" in said


def test_models_for_other_questions_cannot_be_compared(made: Path, place: Path) -> None:
    other = write_reviews(place / "three.csv", 36, classes=3)
    settings: dict[str, Any] = {"backbone": str(made / "network"), "baselines": False}
    three = api.fit(other, output_dir=place / "three", **settings)
    with pytest.raises(ModelError, match="only one of the models knows the class `neutral`"):
        api.compare(api.load(place / "a"), three)
    numbers = write_table(place / "numbers.csv", [row | {"label": str(n)} for n, row in enumerate(reviews(36))])
    values = api.fit(numbers, task="text-regression", output_dir=place / "values", **settings)
    with pytest.raises(ModelError, match="`text-classification` and one for `text-regression`"):
        api.compare(three, values)


def test_a_run_gives_the_same_again_from_what_its_folder_says(made: Path, place: Path, run: Run) -> None:
    code, said, _ = run("reproduce", place / "b", "--json")
    assert code == 0
    assert said["reproduced"]
    assert said["bit_identical"]
    assert said["differences"] == []
    assert said["test_examples"] == 12
    assert said["looks"] == 2
    assert sorted(path.name for path in place.iterdir()) == [
        "a",
        "b",
    ]  # no feature is taken from a cache, and none kept


def test_what_is_not_the_same_is_named(made: Path, place: Path, run: Run) -> None:
    text = (made / "reviews.csv").read_text()
    (place / "changed.csv").write_text(text.replace("A good", "A fine").replace("A bad", "A good"))
    record = json.loads((place / "a" / "headstart.json").read_text())
    record["environment"]["torch"] = "1.0"
    (place / "a" / "headstart.json").write_text(json.dumps(record))
    code, said, _ = run("reproduce", place / "a", place / "changed.csv", "--output-dir", place / "again")
    assert code == 1
    assert "data: " in said
    assert "torch: 1.0 before" in said
    assert "the weights differ by at most" in said
    assert said.endswith("not reproduced\n")
    assert (place / "again" / "headstart.toml").is_file()


def test_data_that_are_gone_are_asked_for(made: Path, place: Path) -> None:
    record = json.loads((place / "a" / "headstart.json").read_text())
    for path in ("/gone/reviews.csv", ""):
        record["data"]["path"] = path
        (place / "a" / "headstart.json").write_text(json.dumps(record))
        with pytest.raises(DataError, match="gone" if path else "names no data"):
            api.compare(api.load(place / "a"), api.load(place / "b"))


def test_where_the_data_lie_is_not_given_to_others(made: Path) -> None:
    path, public = str(made / "reviews.csv"), hub._public_files(made / "a")
    assert "looks.json" not in public
    for name in (*public, "report.html"):
        assert path.encode() not in (made / "a" / name).read_bytes()
    assert json.loads((made / "a" / "headstart.json").read_text())["data"]["path"] == path
