"""Look at data before anything is computed: what cannot work becomes an error, what is odd becomes a note."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from headstart.data.formats.contract import Columns
from headstart.data.media import kind_of_file
from headstart.data.table import NOT_THERE, is_table, table_suffixes
from headstart.data.targets import TargetForm, number
from headstart.data.walk import entries, folders, is_folder, walk
from headstart.errors import DataError
from headstart.record import SETTINGS
from headstart.types import Example, Kind, Skipped

_UNPACK = "unpack it first, and give the folder"
_SHEET = "save the sheet as .xlsx, or as csv in UTF-8"
_WRITING = "write the texts into a table with the columns `text` and `label`"
_PICTURE = "convert the pictures to jpg or png first"
_RECORDING = "convert the recordings first: ffmpeg -i IN OUT.wav"
_VIDEO = "no video is read: take pictures out of it (ffmpeg -i IN OUT%04d.jpg) or its sound (ffmpeg -i IN OUT.wav)"
CONVERTIBLE = {
    **dict.fromkeys((".zip", ".tar", ".tgz", ".gz", ".xz", ".bz2", ".7z", ".rar"), _UNPACK),
    **dict.fromkeys((".xls", ".xlsm", ".xlsb", ".ods", ".numbers"), _SHEET),
    **dict.fromkeys((".pdf", ".doc", ".docx", ".odt", ".rtf", ".html", ".md"), _WRITING),
    ".txt": f"{_WRITING}; if each line has a word and its tag, call the file .conll",
    ".json": "write it as JSON lines, one object a line: jq -c '.[]' FILE.json > FILE.jsonl",
    ".arrow": "give the folder that `save_to_disk` wrote, not a file in it",
    **dict.fromkeys((".heic", ".heif", ".avif", ".tif", ".tiff", ".svg", ".dng", ".cr2", ".nef"), _PICTURE),
    **dict.fromkeys((".m4a", ".aac", ".opus", ".wma", ".amr", ".aiff", ".aif"), _RECORDING),
    **dict.fromkeys((".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v"), _VIDEO),
}
WANTED = "give a folder with one folder a class, or a table ({tables}) with the columns `text` and `label`"
_FEWEST_TO_TELL = 10


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
            return DataError(f"`{path}` is a single file", "give the folder above the folders of the classes")
        return DataError(what, CONVERTIBLE.get(path.suffix.lower(), wanted))
    if (path / SETTINGS).is_file():
        return DataError(f"`{path}` is a model, and no data", "name the data first; --backbone goes on from a model")
    files = list(walk(path))
    if not files:
        return DataError(f"there is no file in the folder `{path}`", wanted)
    tables = [file for file in files if is_table(file)]
    if tables:
        return DataError(what, f"did you mean the table `{tables[0]}`?" if len(tables) == 1 else _name_tables(path))
    endings = Counter(file.suffix.lower() or "no ending" for file in files)
    listed = ", ".join(sorted(endings)[:5])
    (most, _), *_ = endings.most_common(1)
    return DataError(f"{what}: it holds only files with {listed}", CONVERTIBLE.get(most, wanted))


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
        raise DataError(f"`{path}` has no usable example{left_out}", _way_out(skipped))
    if not to_learn:
        return
    labels = {name for example in examples for name in form.classes(example.target)}
    if len(labels) < form.least_classes:
        has = f"one class, `{next(iter(labels))}`" if labels else "no class"
        needed = "at least two classes are needed" if form.least_classes > 1 else "some examples must have a class"
        raise DataError(f"`{path}` has {has}{left_out}", needed)


def _way_out(skipped: Sequence[Skipped]) -> str:
    """Return what to do where nothing can be used."""
    if not skipped:
        return "write one example a row below the names of the columns"
    if all(item.error == NOT_THERE for item in skipped):
        return "write paths with their endings, relative to the table or absolute"
    return "repair or replace them"


def require_difference(
    path: Path, examples: Sequence[Example], hashes: Sequence[str], form: TargetForm, columns: Columns
) -> None:
    """Raise DataError where the inputs cannot be what is meant: all alike, numbers, or labels instead of texts."""
    count, different = len(examples), len(set(hashes))
    if count > 1 and different == 1:
        raise DataError(f"all {count} examples of `{path}` have the same content", "give examples that differ")
    texts = [str(example.inputs["text"]) for example in examples if [*example.inputs] == ["text"]]
    if texts and all(number(text) is not None for text in texts):
        raise DataError(
            f"the texts of `{path}` are numbers, such as `{texts[0]}`",
            "name the column of the texts with --text-column",
        )
    classes = {name for example in examples for name in form.classes(example.target)}
    if texts and count >= _FEWEST_TO_TELL and different <= count / 4 and len(classes) > count / 2:
        raise DataError(
            f"`{path}` has {different} different texts and {len(classes)} different labels: they seem to be swapped",
            f"--text-column {columns.label} --label-column {columns.text}",
        )


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
    occur = "1 content occurs" if len(torn) == 1 else f"{len(torn)} contents occur"
    return [f"{occur} with different labels, byte for byte the same, as in {listed}."]
