"""`headstart check`: what is wrong with data, before anything is trained on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart import console
from headstart.cli.contract import Device, Json, LabelColumns, TextColumn, TextPairColumn, joined
from headstart.errors import MachineError, UsageError

if TYPE_CHECKING:
    from headstart.checking.findings import Findings

_HEADER = ("problem", "cases", "of the test set", "for example")


def command(
    data: Annotated[str, typer.Argument(metavar="DATA", help="A folder or a table, as `fit` reads it.")],
    backbone: Annotated[str, typer.Option(help="Catalogue name, folder, or hub id.")] = "auto",
    no_features: Annotated[bool, typer.Option("--no-features", help="Run no backbone; judge no labels.")] = False,
    output_dir: Annotated[str | None, typer.Option(metavar="DIR", help="Where a page and a table go.")] = None,
    task: Annotated[str, typer.Option(help="Such as image-classification.")] = "auto",
    text_column: TextColumn = None,
    text_pair_column: TextPairColumn = None,
    label_column: LabelColumns = None,
    group_column: Annotated[str | None, typer.Option(help="What is never split, such as a speaker.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides splits that the data do not have.")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Look for duplicates, leaks, doubtful labels and empty inputs, and suggest corrections."""
    given = {
        "text_column": text_column,
        "text_pair_column": text_pair_column,
        "label_column": joined(label_column),
        "group_column": group_column,
        "seed": seed,
    }
    settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    from headstart import api

    with _new_folder(output_dir) as folder:
        with console.listening() as listener:
            found = api.check(
                data,
                vectors=not no_features,
                listener=listener,
                task=task,
                backbone=backbone,
                device=device,
                **settings,
            )
        written = _write(found, folder) if folder else []
    if as_json:
        console.say_json(found.to_json())
        return
    _say(found, written)


@contextmanager
def _new_folder(name: str | None) -> Iterator[Path | None]:
    """Give the folder to write, made before the long look at the data, and taken away when nothing comes of that."""
    if name is None:
        yield None
        return
    folder = Path(name)
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"the folder `{folder}` exists", "choose another --output-dir, or remove it")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(
            f"the folder `{folder}` cannot be made: {error.strerror}", "give another --output-dir"
        ) from error
    try:
        yield folder
    except BaseException:
        with suppress(OSError):  # something is in it
            folder.rmdir()
        raise


def _write(found: Findings, folder: Path) -> list[Path]:
    """Write the page and the table of suggestions, and return their paths."""
    from headstart.checking.corrected import write_corrected
    from headstart.checking.page import write_page

    corrected = write_corrected(found, folder)
    page = write_page(found, folder, corrected=corrected)
    return [page, *([corrected] if corrected else [])]


def _say(found: Findings, written: list[Path]) -> None:
    from headstart.checking.page import headline, share

    console.say(headline(found))
    for note in found.notes:
        console.say(note)
    if found.problems:
        console.say()
        console.say_table(_HEADER, [_row(found, problem, share(found, problem)) for problem in found.problems])
        console.say()
        for problem in found.problems:
            console.say(f"{problem.what}: {problem.advice}")
    if written:
        console.say()
    for path in written:
        console.say(f"{path.name:<15}{path}")


def _row(found: Findings, problem: Any, share: str) -> list[str]:
    from headstart.reporting.wording import excerpt

    case = problem.cases[0]
    named = f"{excerpt(case.names[0], 60)}: {excerpt(case.note, 60)}" if case.note else " = ".join(case.names[:2])
    return [problem.kind, f"{len(problem.cases):,}", share, excerpt(named, 120)]
