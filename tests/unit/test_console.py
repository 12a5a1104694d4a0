from __future__ import annotations

import io
import json
import math

import pytest

from headstart import console
from headstart.errors import DataError
from headstart.events import EpochEnded, Forecast, Note, Progress


def test_json_is_one_valid_line_whatever_the_numbers(capsys):
    console.say_json({"score": math.nan, "rows": [math.inf, 0.5], "name": "Größe"})
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert json.loads(out) == {"score": None, "rows": [None, 0.5], "name": "Größe"}


def test_names_cannot_steer_the_terminal(capsys):
    console.say("evil\x1b]0;title\x07 \x9b31m\r\u202e.png")
    out = capsys.readouterr().out
    assert not {"\x1b", "\x07", "\x9b", "\r", "\u202e"} & set(out)
    assert "\\x1b]0;title" in out


def test_undecodable_file_names_can_be_printed(capsys):
    console.say("caf\udce9.png")
    assert capsys.readouterr().out == "caf\\udce9.png\n"


def test_tables_are_never_cut(capsys):
    console.say_table(("name", "licence"), [("a", "x" * 300), ("long name", "y")])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].endswith("x" * 300)
    assert [line.index(c) for line, c in zip(lines, ("licence", "x", "y"), strict=True)] == [11, 11, 11]


def test_errors_go_to_stderr_and_for_programs_also_to_stdout(capsys):
    console.say_error(DataError("`x` is empty", "add files"), as_json=True)
    said = capsys.readouterr()
    assert said.err == "error: `x` is empty\nhint: add files\n"
    assert json.loads(said.out) == {"error": "`x` is empty", "hint": "add files"}


def test_progress_without_a_terminal_is_a_few_lines_on_stderr(capsys):
    with console.listening() as listener:
        listener(Note("2 files were skipped"))
        for done in range(1, 501):
            listener(Progress("frozen pass", done, 500))
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "2 files were skipped",
        "frozen pass: 1 of 500",
        "frozen pass: 500 of 500",
    ]


def test_bars_leave_stdout_alone(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with console.listening() as listener:
        listener(Progress("frozen pass", 5, 500))
        listener(Note("[red]not markup[/red]"))
        console.say("result")
    said = capsys.readouterr()
    assert said.out == "result\n"
    assert "[red]not markup[/red]" in said.err


@pytest.mark.parametrize(
    ("event", "parts"),
    [
        (Forecast(1200, 30.0, 2_500_000, 8_000_000_000), ("1,200 examples", "30 s", "2.5 MB", "8.0 GB")),
        (Forecast(9, 1.0, 0, 0, cached=False, reason="the disk is full"), ("not kept", "the disk is full")),
        (
            EpochEnded("thawed", 3, 0.4123, {"eval_f1_macro": 0.875}, best=True),
            ("thawed", "epoch 3", "0.412", "f1 macro 0.875", "best"),
        ),
    ],
)
def test_events_are_described_in_words(event, parts):
    described = console.describe(event).replace("\N{NO-BREAK SPACE}", " ")
    assert "\n" not in described
    assert all(part in described for part in parts), described


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_json_can_be_written_whatever_the_name_and_the_terminal(monkeypatch, encoding):
    stdout = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr("sys.stdout", stdout)
    for name in ("Größe", "caf\udce9.png"):
        console.say_json({"input": name})
    lines = stdout.buffer.getvalue().splitlines()
    assert [json.loads(line)["input"] for line in lines] == ["Größe", "caf\udce9.png"]
