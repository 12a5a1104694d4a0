"""`headstart reproduce`: run again what made a model, and compare."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from headstart import console
from headstart.cli.contract import Json, ModelDir

if TYPE_CHECKING:
    from headstart.reproduction import Reproduction


def command(
    model_dir: ModelDir,
    data: Annotated[str | None, typer.Argument(metavar="[DATA]", help="Where the data are now.")] = None,
    output_dir: Annotated[str | None, typer.Option(metavar="DIR", help="Keep the second model here.")] = None,
    as_json: Json = False,
) -> None:
    """Run again what made a model, and say whether the same comes out; exit code 1 where it does not."""
    from headstart.reproduction import reproduce

    with console.listening() as listener:
        found = reproduce(model_dir, data, output_dir=output_dir, listener=listener)
    if as_json:
        console.say_json(found.to_json())
    else:
        for line in _lines(found):
            console.say(line)
    if not found.reproduced:
        raise typer.Exit(1)


def _lines(found: Reproduction) -> Iterator[str]:
    for row in found.differences:
        before, after = ("none" if row[key] is None else row[key] for key in ("before", "after"))
        yield f"{row['what']}: {before} before, {after} now"
    if found.test_examples:
        kept = found.test_examples - found.changed_predictions
        yield f"{kept:,} of {found.test_examples:,} predictions for the test examples are the same"
    if found.bit_identical:
        yield "the weights are the same, bit for bit"
    elif found.max_weight_difference is None:
        yield "the weights have other names or shapes"
    else:
        yield f"the weights differ by at most {found.max_weight_difference:.2g}"
    yield "reproduced" if found.reproduced else "not reproduced"
