"""Turn the rows of a table into examples: of texts, or of the files that the rows name."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from headstart.data.formats.contract import Columns, Format, Note
from headstart.data.media import kind_of_file
from headstart.data.split import split_named
from headstart.data.walk import is_file, printable, relative_name
from headstart.errors import DataError, TableError, nearest
from headstart.registry import plugins
from headstart.types import Example, Kind, Skipped, Split

FILE_COLUMNS: Mapping[str, Kind | None] = {
    "file_name": None,
    "image": "image",
    "audio": "audio",
    "path": None,
}


@dataclass(frozen=True, slots=True)
class Table:
    """A table as read, before anything is made of its cells.

    Attributes:
        path: the file.
        columns: the names of its columns, in order.
        rows: number of the row, counted from 1 without the header, and its cells.
        skipped: the rows that could not be read.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[int, Mapping[str, object]], ...]
    skipped: tuple[Skipped, ...] = ()


class TableFormat(Format):
    """A format of tables: an implementation only says how a file becomes a `Table`."""

    kinds: ClassVar[tuple[Kind, ...]] = ("text", "image", "audio")
    suffixes: ClassVar[tuple[str, ...]]

    def recognises(self, path: Path) -> bool:
        return path.suffix.lower() in self.suffixes and is_file(path)

    @abstractmethod
    def open_table(self, path: Path) -> Table:
        """Read the file, or raise TableError."""

    def read(self, path: Path, columns: Columns, *, kind: Kind | None = None) -> Iterator[Example | Skipped | Note]:
        return unique(examples(self.open_table(path), columns, kind=kind))


def is_table(path: Path) -> bool:
    """Say whether some format of tables reads `path`."""
    return any(format.recognises(path) for format in _table_formats())


def open_table(path: Path) -> Table:
    """Read `path` with the format of tables that recognises it."""
    for format in _table_formats():
        if format.recognises(path):
            return format.open_table(path)
    raise TableError(f"`{path}` is not a table", "tables are " + ", ".join(table_suffixes()))


def table_suffixes() -> list[str]:
    return sorted(suffix for format in _table_formats() for suffix in format.suffixes)


def _table_formats() -> list[TableFormat]:
    return [format for format in plugins("data.formats").values() if isinstance(format, TableFormat)]


def decode(path: Path) -> str:
    """Return the text of a UTF-8 file without its byte-order mark.

    Raises:
        TableError: it cannot be read, has another encoding or holds NUL bytes. Encodings are never guessed: a
            wrong guess turns into training texts that nobody looks at.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TableError(f"`{path}` cannot be read: {error.strerror}", "check its permissions") from None
    if data.startswith(b"PK\x03\x04"):
        raise TableError(f"`{path}` is a spreadsheet or a zip archive", "save the sheet as csv in UTF-8")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise TableError(f"`{path}` is UTF-16, not UTF-8", _convert(path, "UTF-16"))
    if (at := data.find(b"\0")) >= 0:
        raise TableError(f"`{path}` holds a NUL byte in line {_line(data, at)}", "remove it, or export the table again")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # utf-8-sig counts from after the mark, which may move the byte but never the line
        line = _line(data, error.start)
        raise TableError(f"`{path}` is not UTF-8 in line {line}", _convert(path, "WINDOWS-1252")) from None


def _line(data: bytes, at: int) -> int:
    return data.count(b"\n", 0, at) + 1


def _convert(path: Path, encoding: str) -> str:
    return (
        f"convert it: iconv -f {encoding} -t UTF-8 '{path.name}' > 'utf8-{path.name}' (with the encoding "
        "that it has), or save it as UTF-8 in the program it comes from"
    )


def examples(
    table: Table,
    columns: Columns,
    *,
    kind: Kind | None = None,
    split: Split | None = None,
    within: Path | None = None,
) -> Iterator[Example | Skipped | Note]:
    """Yield the rows of `table` as examples.

    Rows of texts are called `row 17`; rows that name files are called like the file, which is looked for
    relative to the table.

    Args:
        table: the table.
        columns: how its columns are called.
        kind: which kind to read where the table has both texts and files.
        split: the split of all rows; None reads the column.
        within: the dataset's folder where the table is a part of it; names are then told from there.

    Raises:
        TableError: a needed column is missing, or a split has a name that nobody knows.
    """
    column, kind = _inputs(table, columns, kind)
    if columns.label is not None:
        _require(table, columns.label, "--label-column")
    rows = _Rows(table, columns, column, kind, split, within)
    for row in table.skipped:
        yield Skipped(rows.prefix + row.name, row.error)
    for number, cells in table.rows:
        yield rows.example(number, cells)


def unique(items: Iterable[Example | Skipped | Note]) -> Iterator[Example | Skipped | Note]:
    """Pass `items` on; an example whose name came before is skipped with that reason."""
    seen: set[str] = set()
    for item in items:
        if isinstance(item, Example) and item.name in seen:
            yield Skipped(item.name, "is listed twice")
            continue
        if isinstance(item, Example):
            seen.add(item.name)
        yield item


@dataclass(frozen=True, slots=True)
class _Rows:
    """How the rows of one table become examples of one kind, read from one column."""

    table: Table
    columns: Columns
    column: str
    kind: Kind
    split: Split | None
    within: Path | None

    @property
    def prefix(self) -> str:
        """What the names of rows start with."""
        return f"{relative_name(self.table.path, self.within)} " if self.within else ""

    def example(self, number: int, cells: Mapping[str, object]) -> Example | Skipped:
        value = cell(cells, self.column)
        name = f"{self.prefix}row {number}"
        if not value.strip():
            return Skipped(name, f"has nothing in column `{self.column}`")
        source: str | Path | None = value
        if self.kind != "text":
            name, source = self._file_name(value.strip()), _locate(self.table.path.parent, value.strip())
        if source is None:
            return Skipped(name, "does not exist")
        label = cell(cells, self.columns.label).strip() if self.columns.label else None
        if label == "":
            return Skipped(name, "has no label")
        group = cell(cells, self.columns.group).strip() or None
        return Example(name, {self.kind: source}, label, self.split or self._split(number, cells), group)

    def _file_name(self, value: str) -> str:
        folder = self.table.path.parent.relative_to(self.within) if self.within else Path()
        return printable((folder / value).as_posix())

    def _split(self, number: int, cells: Mapping[str, object]) -> Split | None:
        value = cell(cells, self.columns.split).strip()
        found = split_named(value)
        if found or not value:
            return found
        raise TableError(
            f"`{self.table.path}` has the split `{value}` in row {number}",
            "splits are called train, validation and test",
        )


def _inputs(table: Table, columns: Columns, kind: Kind | None) -> tuple[str, Kind]:
    """Return the column that holds the inputs, and their kind."""
    if kind in (None, "text") and columns.text in table.columns:
        return columns.text, "text"
    files = [name for name in FILE_COLUMNS if name in table.columns]
    if kind == "text" or (kind is None and not files):
        _require(table, columns.text, "--text-column")
    for name in files:
        found = FILE_COLUMNS[name] or _kind_of_files(table, name) or kind
        if found and kind in (None, found):
            return name, found
    raise TableError(
        f"`{table.path}` names no {kind or 'media'} files: its columns are {_list(table.columns)}",
        "put paths with their endings, such as `cat/1.jpg`, into a column `file_name`, relative to the table",
    )


def _kind_of_files(table: Table, column: str) -> Kind | None:
    """Return the kind that most of the file names in a column have by their endings."""
    kinds = Counter(kind for _, row in table.rows if (kind := kind_of_file(Path(cell(row, column)))))
    return kinds.most_common(1)[0][0] if kinds else None


def _require(table: Table, column: str, option: str) -> None:
    if column in table.columns:
        return
    raise TableError(
        f"`{table.path}` has no column `{column}`: its columns are {_list(table.columns)}",
        f"name the column with {option}: {nearest(column, table.columns)}",
    )


def _list(columns: tuple[str, ...]) -> str:
    shown = [f"`{name[:40]}`" for name in columns[:20]]
    return ", ".join(shown) + (" ..." if len(columns) > 20 else "")


def _locate(folder: Path, value: str) -> Path | None:
    """Return the file that a cell names, also where the table was written on Windows."""
    for path in (folder / value, folder / value.replace("\\", "/")):
        if is_file(path):
            return path
    return None


def cell(cells: Mapping[str, object], column: str) -> str:
    """Return a cell as text: numbers as written, nothing for missing values, lists and objects."""
    value = cells.get(column)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and math.isnan(value):
        return ""
    return str(value) if isinstance(value, str | int | float) else ""


def single_table(paths: list[Path], role: str) -> Path | None:
    """Return the one table among `paths`, None if there is none, and raise where there are several."""
    tables = [path for path in paths if is_table(path)]
    if len(tables) > 1:
        names = ", ".join(f"`{path.name}`" for path in tables)
        raise DataError(f"`{tables[0].parent}` has several tables for {role}: {names}", "keep one of them")
    return tables[0] if tables else None
