"""`headstart trace`: the architecture, shown by running it on one example."""

from __future__ import annotations

from typing import Annotated

import typer

from headstart import console
from headstart.cli.contract import Device, Json
from headstart.reporting.wording import size


def command(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A photo, a text file or a recording.")],
    backbone: Annotated[str, typer.Option(help="Catalogue name, folder, or hub id.")] = "auto",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Walk one example through the code: file, shapes, bytes and time of each step."""
    from headstart import api

    steps = api.trace(file, backbone=backbone, device=device)
    if as_json:
        console.say_json({"steps": steps})
        return
    cells = [
        (
            step["file"],
            str(step["in"]),
            str(step["out"]),
            size(step["bytes"]),
            f"{1000 * step['seconds']:.1f} ms",
        )
        for step in steps
    ]
    console.say_table(("file", "in", "out", "bytes", "time"), cells)
