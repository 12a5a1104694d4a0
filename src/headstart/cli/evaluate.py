"""`headstart evaluate`: measure an adapted model on other data."""

from __future__ import annotations

from typing import Annotated

import typer

from headstart import console
from headstart.cli.contract import (
    Device,
    Json,
    LabelColumns,
    ModelDir,
    TextColumn,
    TextPairColumn,
    trained_columns,
)


def command(
    model_dir: ModelDir,
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled data, in any format `fit` reads.")],
    text_column: TextColumn = None,
    text_pair_column: TextPairColumn = None,
    label_column: LabelColumns = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure a model on labelled data that it has not seen."""
    from headstart import api

    model = api.load(model_dir, device=device)
    columns = trained_columns(model, text=text_column, text_pair=text_pair_column, label=label_column)
    with console.listening() as listener:
        measured = api.evaluate(model, data, listener=listener, **columns)
    if as_json:
        console.say_json(measured)
        return
    console.say(f"on {measured['examples']:,} examples of {data}")
    for line in metric_lines(measured["metrics"]):
        console.say(f"  {line}")
    if measured["looks"] > 1:
        console.note(f"these examples have been looked at {measured['looks']:,} times with this model")


def metric_lines(metrics: dict[str, float]) -> list[str]:
    """Return one line a metric, with its 95 % interval where that was measured."""
    return [
        f"{console.readable(name):<12}{value:.3f}{_interval(metrics, name)}"
        for name, value in metrics.items()
        if not name.endswith(("_ci_low", "_ci_high"))
    ]


def _interval(metrics: dict[str, float], name: str) -> str:
    if f"{name}_ci_low" not in metrics:
        return ""
    return f"  (95 % interval {metrics[f'{name}_ci_low']:.3f} to {metrics[f'{name}_ci_high']:.3f})"
