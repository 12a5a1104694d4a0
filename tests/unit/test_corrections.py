from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import headstart
from evidence import clean_evidence
from headstart import model as model_module
from headstart.checking.checks.contract import LEAVE_OUT, Case, Problem, Severity
from headstart.checking.corrected import neutral, write_corrected
from headstart.checking.findings import Findings
from headstart.checking.page import MEDIA_CHARACTERS, command, headline, render, write_page
from headstart.cli import main
from headstart.data.dataset import open_dataset
from headstart.tasks.regression import Numbers
from headstart.types import Kind
from networks import write_network
from samples import reviews, write_photos, write_table

HOSTILE = '<script>alert("x")</script>'


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(model_module, "_verify", lambda *_: None)


def problem(*cases: Case, kind: str = "near-duplicates") -> Problem:
    return Problem(kind, "Nearly the same", "Look at them.", Severity.ODD, cases)


def findings(kind: Kind = "text", *cases: Case) -> Findings:
    return Findings(clean_evidence(kind).dataset, (problem(*cases),) if cases else ())


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_rows_with_a_suggestion_come_first_and_say_why(tmp_path: Path) -> None:
    cases = Case(("row 5",), "labelled so", suggestion="warm"), Case(("row 9", "row 3"), suggestion=LEAVE_OUT)
    path = write_corrected(findings("text", *cases), tmp_path)
    assert path is not None
    first, second, *others = rows_of(path)
    assert (first["label"], first["suggestion"], first["why"]) == ("cold", "warm", "near-duplicates (labelled so)")
    assert (second["suggestion"], second["why"]) == ("", "near-duplicates (row 3)")
    assert len(others) == 58
    assert all(row["suggestion"] == row["label"] and not row["why"] for row in others)


def test_leaving_out_goes_before_another_label(tmp_path: Path) -> None:
    found = findings("text", Case(("row 1",), suggestion="warm"), Case(("row 1",), suggestion=LEAVE_OUT))
    path = write_corrected(found, tmp_path)
    assert path is not None
    assert rows_of(path)[0]["suggestion"] == ""


@pytest.mark.parametrize("cell", ["=1+1", "+cmd", "-good", "@sum", "\tx", "\rx"])
def test_formulas_are_neutralised(cell: str) -> None:
    assert neutral(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["-1.5", "+3", "word", "", "a=b"])
def test_numbers_and_texts_stay_as_they_are(cell: str) -> None:
    assert neutral(cell) == cell


def test_a_file_that_is_called_like_a_formula_is_still_found(tmp_path: Path) -> None:
    write_photos(tmp_path)
    (tmp_path / "colour0").rename(tmp_path / "=colour")
    found = headstart.check(tmp_path, vectors=False)
    path = write_corrected(found, tmp_path)
    assert path is not None
    assert {row["file_name"].split("/")[0] for row in rows_of(path)} == {".", "colour1"}
    assert len(open_dataset(path).examples) == 12


def test_a_list_of_tags_fits_no_cell(tmp_path: Path) -> None:
    rows = [{"tokens": row["text"].split(), "tags": ["O", "B-X"] * 20} for row in reviews(20)]
    rows = [row | {"tags": row["tags"][: len(row["tokens"])]} for row in rows]
    found = headstart.check(write_table(tmp_path / "tags.jsonl", rows), vectors=False)
    assert write_corrected(found, tmp_path) is None


def test_the_command_names_a_task_that_the_table_does_not_tell_of() -> None:
    found = findings()
    assert command(found, Path("corrected.csv")) == "headstart fit corrected.csv --label-column suggestion"
    form = next(task.form for task in headstart.registry.plugins("tasks").values() if isinstance(task.form, Numbers))
    numbers = replace(found, dataset=replace(found.dataset, form=form))
    assert "--task text-regression" in command(numbers, Path("corrected.csv"))


def test_a_page_without_problems_says_so() -> None:
    assert headline(findings()) == "Nothing was found wrong with 60 texts."
    assert "Nothing was found wrong" in render(findings())


def test_every_text_of_the_users_is_escaped(tmp_path: Path) -> None:
    evidence = clean_evidence("text").changed(0, inputs={"text": HOSTILE}, target=HOSTILE, name=HOSTILE)
    found = Findings(evidence.dataset, (problem(Case((HOSTILE, "row 2"), HOSTILE, 0.5, HOSTILE)),), HOSTILE, (HOSTILE,))
    page = write_page(found, tmp_path, corrected=tmp_path / "corrected.csv").read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_page_asks_no_other_host_and_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headstart.checking.page.thumbnail", lambda _: "data:image/jpeg;base64," + "A" * 500_000)
    names = [example.name for example in clean_evidence("image").examples]
    found = findings("image", *(Case((name, "cold/item0.png")) for name in names[1:]))
    page = render(found)
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert len(page) < MEDIA_CHARACTERS + 1_000_000
    assert "so that the page stays small" in page


def test_what_is_gone_is_said(tmp_path: Path) -> None:
    assert "can no longer be read" in render(findings("image", Case(("cold/item0.png",))))


def says(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


def with_copies(folder: Path, kind: Kind) -> Path:
    """Write data in which four training examples are also tested on."""
    if kind == "text":
        rows = [row | {"split": ("train", "train", "train", "test")[n % 4]} for n, row in enumerate(reviews(48))]
        rows += [row | {"split": "train"} for row in rows[3:16:4]]
        return write_table(folder / "data.csv", rows)
    for split, seed in (("train", 0), ("test", 1)):
        write_photos(folder / "data" / split, per_class=12, seed=seed)
    for number in range(4):
        copied = (folder / "data" / "test" / "colour0" / f"photo{number}.png").read_bytes()
        (folder / "data" / "train" / "colour0" / f"copy{number}.png").write_bytes(copied)
    return folder / "data"


@pytest.mark.parametrize(("kind", "family"), [("text", "bert"), ("image", "vit")])
def test_from_a_check_to_a_fit_of_the_corrected_data(
    kind: Kind, family: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network, data, out = write_network(tmp_path / "network", family), with_copies(tmp_path, kind), tmp_path / "out"
    code, said, _ = says(capsys, "check", data, "--backbone", network, "--output-dir", out)
    assert code == 0
    assert "duplicates-across-splits" in said
    assert (out / "check.html").stat().st_size < 5_000_000
    settings = ("--label-column", "suggestion", "--backbone", network, "--no-baselines", "--json")
    code, said, _ = says(capsys, "fit", out / "corrected.csv", *settings, "--output-dir", tmp_path / "model")
    assert code == 0
    record = headstart.load(tmp_path / "model").record
    assert record is not None
    assert "duplicates-across-splits" not in [one["kind"] for one in record.problems]
    assert record.sizes["test"] == json.loads(said)["test_examples"] == (12 if kind == "text" else 24)


def test_json_is_one_object_and_an_existing_folder_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = with_copies(tmp_path, "text")
    code, said, _ = says(capsys, "check", data, "--no-features", "--json")
    assert code == 0
    assert json.loads(said)["examples"] == 52
    code, _, err = says(capsys, "check", data, "--no-features", "--output-dir", tmp_path)
    assert code == 2
    assert "exists" in err


def test_a_folder_that_cannot_be_made_is_said_before_anything_is_computed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = says(capsys, "check", tmp_path / "nowhere", "--output-dir", tmp_path / "file" / "out")
    assert code == 1
    assert "cannot be made" in err
    code, _, err = says(capsys, "check", tmp_path / "nowhere", "--output-dir", tmp_path / "out")
    assert (code, (tmp_path / "out").exists()) == (1, False)
