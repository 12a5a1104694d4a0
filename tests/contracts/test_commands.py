"""Every command, also those of other packages, explains itself and can speak JSON."""

from __future__ import annotations

import pytest
import typer.main

from headstart.cli import application
from headstart.registry import plugins

COMMANDS = plugins("cli")
PARSED = typer.main.get_command(application()).commands
# What `report` prints is one path; programs read it as it is.
PLAIN = {"report"}


@pytest.fixture(params=sorted(COMMANDS))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def options(name: str) -> set[str]:
    return {option for parameter in PARSED[name].params for option in parameter.opts}


def test_a_command_is_called_as_words_are_typed(name: str) -> None:
    assert name == name.lower()
    assert "_" not in name
    assert callable(COMMANDS[name])


def test_a_command_says_what_it_does_in_a_sentence(name: str) -> None:
    said = (COMMANDS[name].__doc__ or "").strip()
    assert said[:1].isupper()
    assert said.endswith(".")
    assert len(said.splitlines()[0]) <= 120


def test_every_option_is_explained(name: str) -> None:
    for parameter in PARSED[name].params:
        assert parameter.help or parameter.param_type_name == "argument", parameter.name


def test_a_command_can_speak_json(name: str) -> None:
    assert "--json" in options(name) or name in PLAIN


def test_help_is_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    application()([name, "--help"], standalone_mode=False)
    printed = capsys.readouterr().out
    assert f"headstart {name}" in printed or name in printed
