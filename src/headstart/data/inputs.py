"""Open what is to be predicted: files, folders, tables and lists of files, as examples without labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from headstart.data.checks import require_existing
from headstart.data.formats.contract import Columns, Note
from headstart.data.media import kind_of_file
from headstart.data.table import examples, is_table, open_table
from headstart.data.walk import is_folder, printable, walk
from headstart.errors import DataError, UnreadableFile
from headstart.place import given_path
from headstart.types import Example, Kind, Skipped

MAX_TEXT_BYTES = 16 * 1024 * 1024


def open_inputs(
    inputs: Sequence[str | Path], kind: Kind, *, text_column: str = "text", text_pair_column: str = "text_pair"
) -> list[Example | Skipped]:
    """Read what is to be predicted, in the order given.

    Folders are searched, their files sorted. For texts a table is a table of texts and any other file is one
    text. For pictures and recordings a table or a `.txt` file lists files, relative to itself, and any other
    file is an input; whether it can be decoded is seen later.

    Args:
        inputs: files and folders.
        kind: what the model reads.
        text_column, text_pair_column: what the columns of texts are called.

    Returns:
        examples without target, and in the place of a text that cannot be read the reason.

    Raises:
        DataError: a path does not exist, or a folder holds nothing of this kind. UsageError: a path is none.
    """
    columns = Columns(text=text_column, label=None, text_pair=text_pair_column)
    found: list[Example | Skipped] = []
    for given in inputs:
        path = require_existing(given_path(given, what="an input"))
        if not is_folder(path):
            found += _file_inputs(path, kind, columns)
            continue
        for file in _files_inside(path, kind):
            try:
                found += _file_inputs(file, kind, columns)
            except DataError as error:  # one bad table costs no other file its answer
                found.append(Skipped(printable(str(file)), error.message))
    return found


def _file_inputs(path: Path, kind: Kind, columns: Columns) -> list[Example | Skipped]:
    return _text_inputs(path, columns) if kind == "text" else _media_inputs(path, kind)


def _files_inside(folder: Path, kind: Kind) -> list[Path]:
    def wanted(file: Path) -> bool:
        return (file.suffix.lower() == ".txt" or is_table(file)) if kind == "text" else kind_of_file(file) == kind

    files = [file for file in walk(folder) if wanted(file)]
    if not files:
        raise DataError(f"`{folder}` holds no {kind} files", "give files, or a folder that has some")
    return files


def _text_inputs(path: Path, columns: Columns) -> list[Example | Skipped]:
    name = printable(str(path))
    if is_table(path):
        rows = examples(open_table(path), columns, kind="text")
        return [replace(row, name=f"{name} {row.name}") for row in rows if not isinstance(row, Note)]
    try:
        text = _text(path)
    except UnreadableFile as error:
        return [Skipped(name, error.cause)]
    return [Example(name, {"text": text})]


def _text(path: Path) -> str:
    """Return the whole content of a text file, or raise UnreadableFile."""
    try:
        if path.stat().st_size > MAX_TEXT_BYTES:
            raise UnreadableFile(path, f"is larger than {MAX_TEXT_BYTES >> 20} MiB, too long for one text")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableFile(path, "is not a text in UTF-8") from None
    except OSError as error:
        raise UnreadableFile(path, f"cannot be read: {error.strerror}") from None
    if "\0" in text:
        raise UnreadableFile(path, "holds NUL bytes: it is not a text")
    if not text.strip():
        raise UnreadableFile(path, "is empty")
    return text


def _media_inputs(path: Path, kind: Kind) -> list[Example | Skipped]:
    if is_table(path):
        rows = examples(open_table(path), Columns(label=None), kind=kind)
        return [_listed(row, path.parent) for row in rows if not isinstance(row, Note)]
    if path.suffix.lower() == ".txt":
        return [_media_input(path.parent / line.strip(), kind) for line in _text(path).splitlines() if line.strip()]
    return [_media_input(path, kind)]


def _listed(row: Example | Skipped, folder: Path) -> Example | Skipped:
    """Name a row of a file list by the path of its file."""
    return replace(row, name=printable(str(folder / row.name)))


def _media_input(path: Path, kind: Kind) -> Example:
    return Example(printable(str(path)), {kind: path})
