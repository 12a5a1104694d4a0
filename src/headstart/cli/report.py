"""`headstart report`: where the report of a model is."""

from __future__ import annotations

from typing import Annotated

import typer

from headstart import console
from headstart.cli.contract import ModelDir
from headstart.errors import ModelError
from headstart.place import given_path
from headstart.record import REPORT_FILE


def command(
    model_dir: ModelDir,
    open_it: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
) -> None:
    """Print the path of a model's report."""
    path = given_path(model_dir, what="the model folder") / REPORT_FILE
    if not path.is_file():
        raise ModelError(f"`{model_dir}` holds no {REPORT_FILE}", "give a folder that `headstart fit` wrote")
    console.say(str(path))
    if open_it:
        typer.launch(path.resolve().as_uri())
