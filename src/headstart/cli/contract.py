"""A command is a file of this folder with a function `command`, whose name is the file's.

Its docstring is the help text and its parameters are the arguments and options (typer). It prints with
`headstart.console`, raises a HeadstartError for everything that goes wrong, and imports what is heavy inside
the function: every file here is imported for `headstart --help`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from headstart.errors import ModelError

if TYPE_CHECKING:
    from headstart.model import Model


def trained_column(model: Model, role: str, given: str | None) -> str:
    """Return what the column of texts or labels is called: as given, else as in the table the model learned from."""
    try:
        record = None if given else model.record
    except ModelError:  # a damaged record costs the report, not the predictions
        record = None
    return given or (record.recipe.get(f"{role}_column", role) if record else role)


def trained_columns(
    model: Model, *, text: str | None, text_pair: str | None, label: list[str] | None
) -> dict[str, str]:
    """Return what all columns of labelled data are called, by the names of the options of `headstart.evaluate`."""
    given = {"text": text, "text_pair": text_pair, "label": joined(label), "group": None}
    return {f"{role}_column": trained_column(model, role, name) for role, name in given.items()}


def joined(columns: list[str] | None) -> str | None:
    """Return columns that were named one by one as recipes write them, with commas."""
    return ",".join(columns) if columns else None


Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Device = Annotated[str, typer.Option("--device", metavar="cpu|cuda|mps|auto", help="Where networks run.")]
TextColumn = Annotated[str | None, typer.Option("--text-column", help="Where a table has the text.")]
TextPairColumn = Annotated[
    str | None, typer.Option("--text-pair-column", help="Where a table has a second text beside the first.")
]
LabelColumns = Annotated[
    list[str] | None, typer.Option("--label-column", help="Where a table has the label; several for several labels.")
]
ModelDir = Annotated[str, typer.Argument(metavar="MODEL_DIR", help="A folder that `headstart fit` wrote.")]
