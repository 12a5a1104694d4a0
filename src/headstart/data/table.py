"""Turn the rows of a table into examples: of texts, or of the files that the rows name."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from headstart.data.formats.contract import Columns, Format, Note
from headstart.data.media import kind_of_file
from headstart.data.split import split_named
from headstart.data.walk import is_file, printable, relative_name
from headstart.errors import DataError, TableError, nearest
from headstart.registry import plugins
from headstart.types import Example, Kind, Skipped, Split

NOT_THERE = "does not exist"
_LONG_NAME = 60  # characters
# What columns of words and of their tags are called where nobody says otherwise.
WORDS, TAGS = "tokens", "tags"
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
        media: the columns that are known to hold files, and their kind; a cell that is a `Path` is a file that lay
            inside the table.
        notes: sentences that the user must see.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[int, Mapping[str, object]], ...]
    skipped: tuple[Skipped, ...] = ()
    media: Mapping[str, Kind] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


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
        hint = "call it .xlsx if it is one, or save the sheet as csv in UTF-8"
        raise TableError(f"`{path}` is a spreadsheet or a zip archive", hint)
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
    if columns.group != Columns().group and split in (None, "train"):
        _require(table, columns.group, "--group-column")
    pair, labels = _pair(table, columns, kind), _labels(table, columns)
    if columns.group in labels and columns.group == Columns().group:
        columns = replace(columns, group="")  # what is learnt decides over what a column happens to be called
    roles = {"--text-column": column, "--text-pair-column": pair, "--group-column": columns.group}
    for label in labels:
        _refuse_one_for_two(table, {**roles, "--label-column": label})
    rows = _Rows(table, columns, column, pair, labels, kind, split, within)
    for sentence in table.notes:
        yield Note(sentence)
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


@dataclass(frozen=True)
class _Rows:
    """How the rows of one table become examples of one kind, read from one column."""

    table: Table
    columns: Columns
    column: str
    pair: str | None
    labels: tuple[str, ...]
    kind: Kind
    split: Split | None
    within: Path | None

    @property
    def prefix(self) -> str:
        """What the names of rows start with."""
        return f"{relative_name(self.table.path, self.within)} " if self.within else ""

    def example(self, number: int, cells: Mapping[str, object]) -> Example | Skipped:
        name = f"{self.prefix}row {number}"
        try:
            inputs = self._texts(cells) if self.kind == "text" else self._file(cells)
        except ValueError as error:
            return Skipped(name, str(error))
        if self.kind != "text" and not isinstance(cells.get(self.column), Path):
            name = self._file_name(cell(cells, self.column).strip())
        if not inputs:
            return Skipped(name, NOT_THERE)
        group = cell(cells, self.columns.group).strip() or None
        return Example(name, inputs, self._target(cells), self.split or self._split(number, cells), group)

    def _texts(self, cells: Mapping[str, object]) -> dict[str, str | Path]:
        """Return one text or two, or raise ValueError with a clause."""
        value = cells.get(self.column)
        words = isinstance(value, list) and self.words
        inputs: dict[str, str | Path] = {"text": _joined(value) if words else self._filled(cells, self.column)}
        return inputs | ({"text_pair": self._filled(cells, self.pair)} if self.pair else {})

    def _file(self, cells: Mapping[str, object]) -> dict[str, str | Path]:
        """Return the file that a row names, nothing where it does not exist."""
        inside = cells.get(self.column)
        path = (
            inside
            if isinstance(inside, Path)
            else _locate(self.table.path.parent, self._filled(cells, self.column).strip())
        )
        return {self.kind: path} if path else {}

    def _filled(self, cells: Mapping[str, object], column: str) -> str:
        value = cell(cells, column)
        if value.strip():
            return value
        raw = cells.get(column)
        if raw is None or isinstance(raw, str | float):
            raise ValueError(f"has nothing in column `{column}`")
        raise ValueError(f"has no text in column `{column}`, but a value of type {type(raw).__name__}")

    def _target(self, cells: Mapping[str, object]) -> Any:
        if len(self.labels) == 1:
            return cells.get(self.labels[0])
        return {column: cells.get(column) for column in self.labels} or None

    @cached_property
    def words(self) -> bool:
        """Whether every cell of the column is a list of words."""
        return all(isinstance(row.get(self.column), list) for _, row in self.table.rows)

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
    texts = [name for name in (columns.text, WORDS) if name in table.columns]
    if kind in (None, "text") and texts:
        return texts[0], "text"
    files = [*table.media, *(name for name in FILE_COLUMNS if name in table.columns and name not in table.media)]
    if kind == "text" or (kind is None and not files):
        _require(table, columns.text, "--text-column")
    for name in files:
        found = table.media.get(name) or FILE_COLUMNS[name] or _kind_of_files(table, name) or kind
        if found and kind in (None, found):
            return name, found
    raise TableError(
        f"`{table.path}` names no {kind or 'media'} files: its columns are {_list(table.columns)}",
        "put paths with their endings, such as `cat/1.jpg`, into a column `file_name`, relative to the table",
    )


def _pair(table: Table, columns: Columns, kind: Kind) -> str | None:
    """Return the column of second texts, None where there is none and none was asked for."""
    if kind != "text":
        return None
    if columns.text_pair != Columns().text_pair:
        _require(table, columns.text_pair, "--text-pair-column")
    return columns.text_pair if columns.text_pair in table.columns else None


def _labels(table: Table, columns: Columns) -> tuple[str, ...]:
    """Return the columns of the target."""
    if columns.label is None:
        return ()
    if columns.label in table.columns:
        return (columns.label,)
    if columns.label == Columns().label and TAGS in table.columns:
        return (TAGS,)
    names = tuple(name.strip() for name in columns.label.split(","))
    for name in names:
        _require(table, name, "--label-column")
    return names


def _joined(words: Any) -> str:
    """Return words as one text with a space between them, or raise ValueError with a clause."""
    for word in words:
        if not isinstance(word, str) or len(word.split()) != 1:
            raise ValueError(f"has the word `{word}`, which is not one")
    if not words:
        raise ValueError("has no words")
    return " ".join(str(word) for word in words)


def _kind_of_files(table: Table, column: str) -> Kind | None:
    """Return the kind that most of the file names in a column have by their endings."""
    kinds = Counter(kind for _, row in table.rows if (kind := kind_of_file(Path(cell(row, column)))))
    return kinds.most_common(1)[0][0] if kinds else None


def _require(table: Table, column: str, option: str) -> None:
    if column in table.columns:
        return
    raise TableError(
        f"`{table.path}` has no column `{column}`: its columns are {_list(table.columns)}",
        f"name the column with {option}: {nearest(column, table.columns)}"
        if _may_be_a_header(table)
        else "write the names of the columns into the first line, such as `text` and `label`",
    )


def _may_be_a_header(table: Table) -> bool:
    """Say whether the first line looks like names of columns, and not like a title or an example."""
    return len(table.columns) > 1 and all(0 < len(name) <= _LONG_NAME for name in table.columns)


def _refuse_one_for_two(table: Table, roles: Mapping[str, str | None]) -> None:
    """Raise where one column is named for two purposes, such as the text and its label."""
    named: dict[str, str] = {}
    for option, column in roles.items():
        if column in named:
            raise TableError(
                f"the column `{column}` of `{table.path}` is used for {named[column]} and for {option}",
                f"name another column with {option}",
            )
        if column in table.columns:
            named[column] = option


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


def refuse_repeated(path: Path, header: tuple[str, ...]) -> None:
    """Raise where two columns have one name."""
    repeated = [name for name, count in Counter(header).items() if name and count > 1]
    if repeated:
        raise TableError(f"`{path}` has the column `{repeated[0]}` twice", "rename or remove one of them")


def sample_rows() -> list[dict[str, str]]:
    """Return the twelve rows that formats of tables write as their sample."""
    return [{"text": f"example number {number}", "label": "odd" if number % 2 else "even"} for number in range(12)]


def single_table(paths: list[Path], role: str) -> Path | None:
    """Return the one table among `paths`, None if there is none, and raise where there are several."""
    tables = [path for path in paths if is_table(path)]
    if len(tables) > 1:
        names = ", ".join(f"`{path.name}`" for path in tables)
        raise DataError(f"`{tables[0].parent}` has several tables for {role}: {names}", "keep one of them")
    return tables[0] if tables else None
