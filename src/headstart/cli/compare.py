"""`headstart compare`: whether two models differ, on the same data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from headstart import console
from headstart.cli.contract import Device, Json, LabelColumns, TextColumn, TextPairColumn, trained_columns
from headstart.cli.evaluate import metric_lines

CLASSES, MATTERS = 5, 0.05  # shown at most, and by how much F1 must differ in them


def command(
    a: Annotated[str, typer.Argument(metavar="A", help="A folder that `headstart fit` wrote.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another, for the same task and classes.")],
    data: Annotated[str | None, typer.Argument(metavar="[DATA]", help="Labelled data; by default those of A.")] = None,
    text_column: TextColumn = None,
    text_pair_column: TextPairColumn = None,
    label_column: LabelColumns = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Test whether two models differ, on the same examples, which neither has learnt from."""
    from headstart import api

    first, second = api.load(a, device=device), api.load(b, device=device)
    columns = trained_columns(first, text=text_column, text_pair=text_pair_column, label=label_column)
    with console.listening() as listener:
        found = api.compare(first, second, data, listener=listener, **columns)
    if as_json:
        console.say_json(found)
        return
    for line in _lines(found, a, b):
        console.say(line)


def _lines(found: dict[str, Any], a: str, b: str) -> Iterator[str]:
    """Yield the scores of both, the classes in which they differ most, and what follows."""
    from headstart.reporting import conclusions, wording

    yield f"on {found['examples']:,} examples that neither has learnt from"
    for name, folder in (("a", a), ("b", b)):
        yield f"{name.upper()}  {folder}"
        yield from (f"     {line}" for line in metric_lines(found[name]))
    differing = [one for one in found["per_class"] if abs(one["a"] - one["b"]) >= MATTERS][:CLASSES]
    if differing:
        yield "F1 where they differ most:"
    for one in differing:
        yield f"  {wording.excerpt(one['label'], 30):<30}  A {one['a']:.2f}  B {one['b']:.2f}  of {one['examples']:,}"
    yield conclusions.comparison(found)
