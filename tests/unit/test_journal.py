"""What was decided before a kill is decided again, and a torn last line is no decision."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.journal import Journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    journal = Journal(tmp_path / "journal.jsonl")
    assert not journal.found
    assert journal.decide("device", lambda: "cpu") == "cpu"
    assert journal.decide("seconds", lambda: 1.25) == 1.25
    return tmp_path / "journal.jsonl"


def again(path: Path) -> Journal:
    return Journal(path)


def test_decisions_are_replayed_and_never_taken_twice(path: Path) -> None:
    journal = again(path)
    assert journal.found
    assert journal.decide("device", lambda: pytest.fail("decided twice")) == "cpu"
    assert journal.decide("seconds", lambda: pytest.fail("decided twice")) == 1.25


def test_a_line_that_is_torn_anywhere_is_decided_anew_and_what_follows_is_kept(path: Path) -> None:
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in range(first, len(whole)):
        path.write_bytes(whole[:length])
        journal = again(path)
        assert journal.decide("device", lambda: "other") == "cpu"
        assert journal.decide("seconds", lambda: 2.5) == 2.5
        assert again(path).decide("seconds", lambda: 9.0) == 2.5
