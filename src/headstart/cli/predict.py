"""`headstart predict`: what an adapted model says of new inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart import console
from headstart.cli.contract import Device, Json, ModelDir, TextColumn, TextPairColumn, trained_column
from headstart.errors import DataError, UsageError
from headstart.types import Example, Prediction, Skipped

if TYPE_CHECKING:
    from headstart.model import Model


def command(
    model_dir: ModelDir,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="INPUT...", help="Files and folders, or a table of texts or of file names."),
    ] = None,
    text: Annotated[list[str] | None, typer.Option(help="A text; may be given several times.")] = None,
    top: Annotated[int, typer.Option(min=1, metavar="K", help="Classes to print an input.")] = 1,
    text_pair: Annotated[
        list[str] | None, typer.Option(help="A second text for each --text, where the model reads pairs.")
    ] = None,
    text_column: TextColumn = None,
    text_pair_column: TextPairColumn = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Predict new inputs; with --json one object a line. Bad inputs are named and passed over.

    An answer is marked as unsure where it is less certain than the answers that were right often enough on the
    validation split.
    """
    if not inputs and not text:
        raise UsageError("there is nothing to predict", "give files or folders, or --text '...'")
    from headstart import api

    model = api.load(model_dir, device=device)
    if text and model.kind != "text":
        raise UsageError(f"--text was given to a model of {model.kind} inputs", "give files or folders")
    columns = {
        "text_column": trained_column(model, "text", text_column),
        "text_pair_column": trained_column(model, "text_pair", text_pair_column),
    }
    found = [*_given(text or [], text_pair or []), *_opened(inputs or [], model, columns)]
    bad = 0
    with console.listening() as listener:
        for one, answer in model.predict_examples(found, listener=listener):
            bad += isinstance(answer, Skipped)
            if as_json:
                console.say_json(_as_json(one.name, answer, model))
            else:
                _print(one.name, answer, model, top)
    if bad == len(found) and not as_json:
        raise DataError("none of the inputs can be used", f"give other ones: the model reads {model.kind} inputs")
    if bad == len(found):
        raise typer.Exit(1)


def _given(texts: list[str], pairs: list[str]) -> list[Example | Skipped]:
    if not pairs:
        return [
            Example(text, {"text": text}) if text.strip() else Skipped(f"--text {number}", "it is empty")
            for number, text in enumerate(texts, start=1)
        ]
    if len(pairs) != len(texts):
        raise UsageError(f"there are {len(texts)} --text and {len(pairs)} --text-pair", "give one for each --text")
    return [Example(text, {"text": text, "text_pair": pair}) for text, pair in zip(texts, pairs, strict=True)]


def _opened(paths: list[str], model: Model, columns: dict[str, str]) -> list[Example | Skipped]:
    """Read each path by itself, so that a bad one costs no other its answer."""
    from headstart.data.inputs import open_inputs

    found: list[Example | Skipped] = []
    for path in paths:
        try:
            found += open_inputs([path], model.kind, **columns)
        except DataError as error:
            found.append(Skipped(path, error.message))
    return found


def _as_json(name: str, answer: Prediction | Skipped, model: Model) -> dict[str, Any]:
    if isinstance(answer, Skipped):
        return {"input": name, "error": answer.error}
    unsure = {"unsure": True} if model.is_unsure(answer) else {}
    return {"input": name, **answer.to_json(), **unsure}


def _print(name: str, answer: Prediction | Skipped, model: Model, top: int) -> None:
    if isinstance(answer, Skipped):
        console.note(f"skipped {name}: {answer.error}")
        return
    # One line an input, whatever line breaks and tabs its name has.
    unsure = "\tunsure" if model.is_unsure(answer) else ""
    console.say(f"{' '.join(name.split())}\t{answer.shown(top)}{unsure}")
