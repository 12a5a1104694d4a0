"""`headstart rank`: which backbone suits the data, and how many of its blocks to keep and to freeze."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart import console
from headstart.cli.contract import Device, Json, LabelColumns, TextColumn, joined

if TYPE_CHECKING:
    from headstart.ranking.candidates import Candidate, Ranking

_SHOWN = 12
_HEADER = ("backbone", "keep", "freeze", "head", "score", "95 %", "how")


def command(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A folder or a table, as `fit` reads it.")],
    backbones: Annotated[str, typer.Option(metavar="A,B", help="Names; default: all of the catalogue here.")] = "",
    budget: Annotated[float, typer.Option(metavar="MINUTES", help="Time for measuring and training.")] = 5.0,
    task: Annotated[str, typer.Option(help="Such as image-classification.")] = "auto",
    text_column: TextColumn = None,
    label_column: LabelColumns = None,
    group_column: Annotated[str | None, typer.Option(help="What is never split, such as a speaker.")] = None,
    seed: Annotated[int, typer.Option(help="Decides the folds.")] = 0,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure which backbone suits the data, at every depth, and train the best candidates to confirm it."""
    from headstart import api
    from headstart.training.recipe import Recipe

    columns = {"text_column": text_column, "label_column": joined(label_column), "group_column": group_column}
    given: dict[str, Any] = {name: value for name, value in columns.items() if value}
    recipe = Recipe(task=task, seed=seed, device=device, **given)
    names = [name.strip() for name in backbones.split(",") if name.strip()]
    with console.listening() as listener:
        ranking = api.rank(data, backbones=names, budget=budget, recipe=recipe, listener=listener)
    if as_json:
        console.say_json(ranking.to_json())
        return
    _say(ranking, data)


def _say(ranking: Ranking, data: str) -> None:
    console.say_table(_HEADER, [_cells(one) for one in ranking.candidates[:_SHOWN]])
    hidden = len(ranking.candidates) - _SHOWN
    if hidden > 0:
        console.say(f"and {hidden} more; --json shows all")
    for name, order in ranking.orders.items():
        console.say(f"{_ORDERS[name]}: {', '.join(order) or 'not known'}")
    for name, reason in ranking.left_out.items():
        console.say(f"left out: {name}, {reason}")
    best = ranking.recommended
    console.say(
        f"\nTake {best.backbone} and read it after block {best.keep}: {best.score:.3f} [{best.ci_low:.3f}, "
        f"{best.ci_high:.3f}] on {ranking.examples} of {ranking.available} examples, none of them a test example."
    )
    console.say(
        f"headstart fit {shlex.quote(data)} --backbone {shlex.quote(best.backbone)} --keep {best.keep} "
        f"--freeze {best.freeze} --head {best.head}"
    )


_ORDERS = {"measured": "as measured", "largest": "largest first", "published": "published accuracy first"}


def _cells(one: Candidate) -> tuple[str, ...]:
    trained = f"blocks and head trained, {one.epochs} epoch{'' if one.epochs == 1 else 's'}"
    how = "probed" if not one.confirmed else trained if one.epochs else "head trained"
    interval = f"{one.ci_low:.3f}-{one.ci_high:.3f}"
    return one.backbone, str(one.keep), str(one.freeze), one.head, f"{one.score:.3f}", interval, how
