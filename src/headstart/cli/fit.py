"""`headstart fit`: adapt a backbone to labelled data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart import console
from headstart.cli.contract import Device, Json, LabelColumns, TextColumn, TextPairColumn, joined
from headstart.errors import MissingExtra, ModelError
from headstart.place import given_path

if TYPE_CHECKING:
    from headstart.model import Model
    from headstart.training.recipe import Recipe

DEPTH = "N|all|auto"


def command(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A folder with a subfolder a class, or a table.")],
    task: Annotated[str | None, typer.Option(help="Such as image-classification.")] = None,
    backbone: Annotated[str | None, typer.Option(help="Catalogue name, folder, or hub id.")] = None,
    keep: Annotated[str | None, typer.Option(metavar=DEPTH, help="Blocks kept; the head reads the last.")] = None,
    freeze: Annotated[str | None, typer.Option(metavar=DEPTH, help="Blocks frozen, from the input.")] = None,
    head: Annotated[str | None, typer.Option(help="Such as mean.")] = None,
    recipe: Annotated[str | None, typer.Option(metavar="FILE", help="Settings; options override them.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Most epochs for thawed blocks.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of the head while blocks are thawed.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples a step.")] = None,
    folds: Annotated[int | None, typer.Option(metavar="K", help="Judge by K folds instead of one split.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides splits, order and dropout.")] = None,
    text_column: TextColumn = None,
    text_pair_column: TextPairColumn = None,
    label_column: LabelColumns = None,
    group_column: Annotated[str | None, typer.Option(help="What is never split, such as a speaker.")] = None,
    output_dir: Annotated[str | None, typer.Option(metavar="DIR", help="Where the model is written.")] = None,
    engine: Annotated[str | None, typer.Option(help="What runs the frozen part: torch, openvino.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Do not keep features on disk.")] = False,
    no_baselines: Annotated[bool, typer.Option("--no-baselines", help="Measure the model alone.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished run.")] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Adapt a pre-trained backbone to labelled data, and write a model with a report."""
    settings = {
        "task": task,
        "backbone": backbone,
        "keep": keep,
        "freeze": freeze,
        "head": head,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "folds": folds,
        "seed": seed,
        "text_column": text_column,
        "text_pair_column": text_pair_column,
        "label_column": joined(label_column),
        "group_column": group_column,
        "engine": engine,
        "device": None if device == "auto" else device,
        "cache": False if no_cache else None,
        "baselines": False if no_baselines else None,
    }
    complete = _recipe(recipe, settings)
    _require_torch(data, complete)
    from headstart import api

    with console.listening() as listener:
        model = api.fit(data, recipe=complete, output_dir=output_dir, resume=resume, listener=listener)
    _say(model, as_json)


def _recipe(file: str | None, settings: dict[str, Any]) -> Recipe:
    """Return the recipe of `file`, or the default one, with the options that were given."""
    from headstart.training.recipe import Recipe, parse_depth

    given = {name: value for name, value in settings.items() if value is not None}
    for depth in ("keep", "freeze"):
        if depth in given:
            given[depth] = parse_depth(given[depth])
    recipe = Recipe() if file is None else Recipe.from_toml(given_path(file, what="the recipe"))
    return recipe.replace(**given)


def _require_torch(data: str, recipe: Recipe) -> None:
    """Name the extra for this kind of data where networks cannot be run at all."""
    from importlib.util import find_spec

    if find_spec("torch"):
        return
    from headstart.data.dataset import open_dataset

    columns = {name: getattr(recipe, name) for name in ("text_column", "label_column", "group_column")}
    raise MissingExtra("torch", open_dataset(data, **columns).kind)


def _say(model: Model, as_json: bool) -> None:
    from headstart.summary import summary_json, summary_lines

    record, folder = model.record, model.folder
    if record is None or folder is None:
        raise ModelError("the model was not saved", "run the same command again with --resume")
    if as_json:
        console.say_json(summary_json(record, folder))
        return
    for line in summary_lines(record, folder):
        console.say(line)
