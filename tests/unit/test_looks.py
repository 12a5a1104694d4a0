from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from headstart.evaluation.looks import LOOKS, count_look, first_look, read_looks
from headstart.events import Note
from headstart.model import SETTINGS
from headstart.reporting import conclusions
from headstart.reporting.report import say_looks, write_report
from records import sample_record

TESTED = ["aa", "bb", "cc"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / SETTINGS).write_text("")
    return tmp_path


def look(folder: Path, hashes: list[str]) -> int:
    return count_look(folder, hashes, by="evaluate", tested_on=TESTED).times(hashes)


def test_examples_are_recognised_by_their_content_and_counted(folder: Path) -> None:
    record = sample_record("text", data={"tested_on": TESTED, "tested_at": "2026-11-24T14:03:00Z"})
    first_look(folder, record)
    assert look(folder, TESTED) == 2
    assert look(folder, ["aa", "new"]) == 3  # as often as the one that was looked at most
    assert look(folder, ["other"]) == 1
    looks = read_looks(folder)
    assert [one.by for one in looks.looks] == ["fit", "evaluate", "evaluate", "evaluate"]
    assert [one.of_test for one in looks.at_test] == [3, 3, 1]
    first_look(folder, record)  # a run that goes on after it was cut off
    assert look(folder, TESTED) == 2


def test_a_folder_that_cannot_be_written_costs_the_count_alone(folder: Path) -> None:
    (folder / LOOKS).mkdir()
    notes: list[Note] = []
    found = count_look(folder, TESTED, by="evaluate", tested_on=TESTED, listener=notes.append)
    assert found.times(TESTED) == 1
    assert "could not be noted" in notes[0].text


def test_a_damaged_count_is_said_and_begun_anew(folder: Path) -> None:
    entry = {"at": "yesterday", "by": "fit", "examples": 1, "of_test": 1}
    wrong = ({"looks": [{"at": 1}], "seen": {}}, {"looks": [], "seen": {"a": "x"}}, {"looks": [entry], "seen": {}})
    for damage in ("{", "[]", "[" * 100_000, *map(json.dumps, wrong)):
        (folder / LOOKS).write_text(damage)
        notes: list[Note] = []
        assert count_look(folder, ["a"], by="evaluate", tested_on=[], listener=notes.append).times(["a"]) == 1
        assert "damaged" in notes[0].text


@pytest.mark.slow
def test_no_look_of_several_processes_is_lost(folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_look_ten_times, args=(folder,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert read_looks(folder).times(["aa"]) == 30


def _look_ten_times(folder: Path) -> None:
    for _ in range(10):
        look(folder, TESTED)


def test_the_report_says_when_the_test_was_read_and_how_often_since(folder: Path) -> None:
    write_report(sample_record("text", history=[], depths=[], data={"tested_at": "2026-11-24T14:03:00Z"}), folder)
    page = (folder / "report.html").read_text()
    assert "read once, on 24 November 2026 at 14:03 UTC" in page
    times = [("2026-11-24T14:03:00Z", "fit"), ("2026-12-01T08:00:09Z", "evaluate")]
    for _ in range(2):
        say_looks(folder, times)
    again = (folder / "report.html").read_text()
    assert "looked at 2 times, on 24 November 2026 at 14:03 UTC by fit and on 1 December 2026 at 08:00 UTC by" in again
    assert len(again) - len(page) < 300
    assert conclusions.looks(times * 4).count("December") == 3
