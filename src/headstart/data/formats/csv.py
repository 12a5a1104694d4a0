"""Comma-, semicolon-, bar- and tab-separated tables with a header line (RFC 4180 and usual deviations)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from headstart.data.table import Table, TableFormat, decode, refuse_repeated, sample_rows
from headstart.errors import TableError
from headstart.types import Skipped

DELIMITERS = (",", ";", "\t", "|")
MAX_CELL_CHARACTERS = 16 * 1024 * 1024
MAX_HEADER_CHARACTERS = 64 * 1024


class Csv(TableFormat):
    name: ClassVar[str] = "csv"
    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv")

    def open_table(self, path: Path) -> Table:
        text = decode(path)
        if not text.strip():
            raise TableError(f"`{path}` is empty", "give a table with a header line and at least two rows")
        first, *records = _records(path, text)
        header = tuple(name.strip() for name in first)
        refuse_repeated(path, header)
        rows, skipped = [], []
        for number, cells in enumerate(records, start=1):
            if len(cells) == len(header):
                rows.append((number, dict(zip(header, cells, strict=True))))
            else:
                skipped.append(Skipped(f"row {number}", f"has {len(cells)} cells where the header has {len(header)}"))
        return Table(path, header, tuple(rows), tuple(skipped))

    def sample(self, folder: Path) -> Path:
        path, rows = folder / "sample.csv", sample_rows()
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path


def _records(path: Path, text: str) -> list[list[str]]:
    """Split a text into records of cells; blank lines are no records."""
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(text)
    return _parse(path, text, delimiter, quoted=delimiter != "\t" or not _quotes_are_text(path, text))


def _delimiter(text: str) -> str:
    """Return the delimiter that cuts the header into most cells."""
    header = text.lstrip()[:MAX_HEADER_CHARACTERS].splitlines()[0]
    return max(DELIMITERS, key=lambda mark: len(next(csv.reader([header], delimiter=mark))))


def _quotes_are_text(path: Path, text: str) -> bool:
    """Say whether a tab-separated file was written without quoting: a lone `"` must not swallow lines then.

    It was, when every line has as many tabs as the header and reading quotes would join some of the lines.
    """
    lines = [line for line in text.split("\n") if line.strip()]
    if len({line.count("\t") for line in lines}) != 1:
        return False
    try:
        return len(_parse(path, text, "\t")) != len(lines)
    except TableError:
        return True


def _parse(path: Path, text: str, delimiter: str, *, quoted: bool = True) -> list[list[str]]:
    # Strict parsing is the only way to notice a quote that is never closed, but it refuses `"a"b` as well.
    for strict in (True, False):
        reader = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=delimiter,
            quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
            strict=strict,
            skipinitialspace=True,
        )
        records: list[list[str]] = []
        line = 1
        try:
            with _long_cells():
                for record in reader:
                    line = reader.line_num + 1
                    if record:
                        records.append(record)
            return records
        except csv.Error as error:
            if not strict or "expected after" not in str(error):
                raise _broken(path, line, error) from None
    return []


def _broken(path: Path, line: int, error: csv.Error) -> TableError:
    if "unexpected end of data" in str(error):
        return TableError(f"`{path}` opens a quote in line {line} and never closes it", "close it")
    return TableError(f"`{path}` cannot be read in line {line}: {error}", "repair that line")


@contextmanager
def _long_cells() -> Iterator[None]:
    """Lift the limit of 128 KiB a cell: whole documents are ordinary texts."""
    before = csv.field_size_limit(MAX_CELL_CHARACTERS)
    try:
        yield
    finally:
        csv.field_size_limit(before)


format = Csv()
