"""`headstart push`: give a model to others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from headstart import console
from headstart.cli.contract import Json, ModelDir


def command(
    model_dir: ModelDir,
    repository: Annotated[str, typer.Argument(metavar="REPO", help="Such as my-name/my-model.")],
    public: Annotated[bool, typer.Option("--public", help="Let everyone see it.")] = False,
    as_json: Json = False,
) -> None:
    """Upload a model to a hub: privately, and without the files that show your examples.

    Left out are headstart.json and report.html. HF_TOKEN says who you are, HF_ENDPOINT which hub.
    """
    from headstart.checkpoints import hub
    from headstart.model import load

    load(model_dir, device="cpu")  # a folder that does not load is of no use to others
    result = hub.push(Path(model_dir), repository, private=not public)
    if as_json:
        console.say_json(result)
        return
    console.say(result["url"])
    console.note(f"{'private' if result['private'] else 'public'}, commit {result['commit']}")
