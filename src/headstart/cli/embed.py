"""`headstart embed`: features of examples, for other programs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from headstart import console
from headstart.cli.contract import Device, Json, TextColumn
from headstart.place import given_path


def command(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A folder or a table, as `fit` reads it.")],
    output: Annotated[str, typer.Option(metavar="FILE", help="Ends in .parquet or .safetensors.")],
    backbone: Annotated[str, typer.Option(help="Catalogue name, folder, or hub id.")] = "auto",
    keep: Annotated[str, typer.Option(metavar="N|all|auto", help="Read after this many blocks.")] = "auto",
    text_column: TextColumn = None,
    label_column: Annotated[str | None, typer.Option("--label-column", help="Where a table has the label.")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Write one vector an example, with names, labels and splits beside them."""
    from headstart.embedding import embed, refuse_ending, write_embedding
    from headstart.training.recipe import Recipe, parse_depth

    file = given_path(output, what="--output")
    refuse_ending(file)
    columns = {"text_column": text_column, "label_column": label_column}
    given: dict[str, Any] = {name: value for name, value in columns.items() if value}
    recipe = Recipe(device=device, **given)
    with console.listening() as listener:
        found = embed(data, backbone=backbone, keep=parse_depth(keep), recipe=recipe, listener=listener)
    write_embedding(found, file)
    count, width = found.vectors.shape
    if as_json:
        facts = {"examples": count, "width": width, "backbone": found.backbone, "keep": found.keep, "output": output}
        console.say_json(facts)
        return
    console.say(f"{count:,} vectors of {width:,} numbers, read after block {found.keep} of {found.backbone}: {output}")
