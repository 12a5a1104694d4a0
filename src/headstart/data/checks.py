"""Look at data before anything is computed: what cannot work becomes an error, what is odd becomes a note."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from headstart.data.media import kind_of_file
from headstart.data.table import is_table, table_suffixes
from headstart.data.targets import TargetForm
from headstart.data.walk import entries, folders, is_folder, walk
from headstart.errors import DataError
from headstart.types import Example, Kind, Skipped

CONVERTIBLE = {
    ".zip": "unpack it first, and give the folder",
    ".tar": "unpack it first, and give the folder",
    ".gz": "unpack it first",
    ".xls": "save the sheet as .xlsx, or as csv in UTF-8",
    ".ods": "save the sheet as .xlsx, or as csv in UTF-8",
    ".json": "write it as JSON lines, one object a line: jq -c '.[]' FILE.json > FILE.jsonl",
}
WANTED = "give a folder with one folder a class, or a table ({tables}) with the columns `text` and `label`"


def require_existing(path: Path) -> Path:
    """Return `path`, or raise DataError naming what lies nearest to it."""
    try:
        path.stat()
        return path
    except (OSError, ValueError):
        pass
    beside = [entry.name for entry in entries(path.parent)]
    close = difflib.get_close_matches(path.name, beside, n=1)
    hint = f"did you mean `{path.parent / close[0]}`?" if close else "check the path, and the folder you are in"
    raise DataError(f"`{path}` does not exist", hint)


def unrecognised(path: Path, kind: Kind | None) -> DataError:
    """Return the error for data that no format recognises, with the likeliest way out."""
    wanted = WANTED.format(tables=", ".join(table_suffixes()))
    what = f"`{path}` holds no {kind} data that can be read" if kind else f"`{path}` is no data that can be read"
    if not is_folder(path):
        if kind_of_file(path):
            return DataError(f"`{path}` is a single file", f"give the folder with one folder a class: {wanted}")
        return DataError(what, CONVERTIBLE.get(path.suffix.lower(), wanted))
    files = list(walk(path))
    if not files:
        return DataError(f"`{path}` is an empty folder", wanted)
    tables = [file for file in files if is_table(file)]
    if tables:
        return DataError(what, f"did you mean the table `{tables[0]}`?" if len(tables) == 1 else _name_tables(path))
    endings = sorted({file.suffix.lower() or "no ending" for file in files})
    return DataError(f"{what}: it holds only files with {', '.join(endings[:5])}", wanted)


def _name_tables(path: Path) -> str:
    inner = [folder for folder in folders(path) if any(map(is_table, entries(folder)))]
    if inner:
        return f"did you mean `{inner[0]}`?"
    return "give one table, or call the tables train, validation and test"


def require_targets(path: Path, raw: Sequence[Example], unusable: Sequence[Skipped]) -> None:
    """Raise DataError where most examples have no target that the task can read: it is another task, or column."""
    if len(unusable) <= len(raw) / 2:
        return
    reasons = "; ".join(f"`{item.name}` {item.error}" for item in unusable[:3])
    raise DataError(
        f"{len(unusable)} of {len(raw)} examples of `{path}` have no target that can be used: {reasons}",
        "name another column with --label-column, or the task with --task",
    )


def require_classes(
    path: Path, examples: Sequence[Example], skipped: Sequence[Skipped], form: TargetForm, *, to_learn: bool = True
) -> None:
    """Raise DataError where there are no examples, or too few classes to learn."""
    reasons = "; ".join(f"`{item.name}` {item.error}" for item in skipped[:3])
    left_out = f" ({len(skipped)} were left out: {reasons})" if skipped else ""
    if not examples:
        raise DataError(f"`{path}` has no usable example{left_out}", "repair or replace them")
    labels = {name for example in examples for name in form.classes(example.target)}
    if to_learn and len(labels) < form.least_classes:
        has = f"one class, `{next(iter(labels))}`" if labels else "no class"
        raise DataError(f"`{path}` has {has}{left_out}", "at least two classes are needed")


def duplicate_notes(examples: Sequence[Example], hashes: Sequence[str]) -> list[str]:
    """Say where the same content has different labels."""
    targets = defaultdict(set)
    for example, content in zip(examples, hashes, strict=True):
        targets[content].add(example.target)
    torn = [content for content in targets if len(targets[content]) > 1]
    if not torn:
        return []
    names = [example.name for example, content in zip(examples, hashes, strict=True) if content == torn[0]]
    listed = ", ".join(f"`{name}`" for name in names[:3])
    return [f"{len(torn)} contents occur with different labels, byte for byte the same, as in {listed}."]
