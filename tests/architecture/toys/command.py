"""A command that says hello."""

from __future__ import annotations

from headstart import console
from headstart.cli.contract import Json


def command(as_json: Json = False) -> None:
    """Say hello from another package."""
    if as_json:
        console.say_json({"hello": "world"})
        return
    console.say("hello")


command.name = "toy-command"
