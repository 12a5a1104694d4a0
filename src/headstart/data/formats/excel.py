"""Excel workbooks (.xlsx, ECMA-376): the first sheet, as its cells are shown. Formulas are never computed."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from headstart.data.table import Table, TableFormat, refuse_repeated, sample_rows
from headstart.errors import HeadstartError, MissingExtra, TableError
from headstart.types import Skipped

MAX_BYTES = 128 << 20  # of XML, when unpacked
MAX_PARTS = 10_000
MAX_COLUMNS = 1_000
MAX_ROWS = 1_048_576  # of one sheet, by the format
OLE = b"\xd0\xcf\x11\xe0"  # the container of encrypted workbooks and of the format before 2007


class Excel(TableFormat):
    name: ClassVar[str] = "excel"
    suffixes: ClassVar[tuple[str, ...]] = (".xlsx",)

    def open_table(self, path: Path) -> Table:
        # Opened here: openpyxl leaves a damaged file open.
        with _documented(path) as openpyxl, path.open("rb") as file:
            _refuse_unsafe(path)
            book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
            try:
                return _read(path, book)
            finally:
                book.close()

    def sample(self, folder: Path) -> Path:
        import openpyxl

        path, rows, book = folder / "sample.xlsx", sample_rows(), openpyxl.Workbook()
        for cells in ([*rows[0]], *(list(row.values()) for row in rows)):
            book.active.append(cells)
        book.save(path)
        return path


def _read(path: Path, book: Any) -> Table:
    if not book.worksheets:
        raise TableError(f"`{path}` has no sheet with cells", "put the table into its first sheet")
    others = ", ".join(f"`{name}`" for name in book.sheetnames[1:6])
    records = _records(path, book.worksheets[0])
    first: tuple[Any, ...] = next((cells for cells in records if any(cell is not None for cell in cells)), ())
    header = tuple("" if cell is None else str(cell).strip() for cell in first)
    while header and not header[-1]:
        header = header[:-1]
    if not header:
        way_out = f"move the sheet that is meant to the front: {others}" if others else "write a table into it"
        raise TableError(f"the first sheet of `{path}` is empty", way_out)
    refuse_repeated(path, header)
    rows, skipped = [], []
    for number, cells in enumerate(records, start=1):
        if any(cell is not None for cell in cells[len(header) :]):
            skipped.append(Skipped(f"row {number}", f"has more cells than the header, which has {len(header)}"))
        elif any(cell is not None for cell in cells):
            rows.append((number, dict(zip(header, map(_plain, cells), strict=False))))
    notes = [f"Only the first sheet of `{path.name}` was read, not {others}."] if others else []
    if _has_merged_cells(path):
        notes.append(f"`{path.name}` has merged cells: only the first of them has a value, the others are empty.")
    return Table(path, header, tuple(rows), tuple(skipped), notes=tuple(notes))


def _has_merged_cells(path: Path) -> bool:
    """Say whether some sheet has merged cells, which openpyxl does not tell while it streams."""
    with zipfile.ZipFile(path) as archive:
        sheets = [name for name in archive.namelist() if name.startswith("xl/worksheets/") and name.endswith(".xml")]
        return any(b"<mergeCell " in archive.read(name) for name in sheets)


def _records(path: Path, sheet: Any) -> Iterator[tuple[Any, ...]]:
    """Yield rows as they are written; the size that a sheet claims for itself is not believed."""
    sheet.reset_dimensions()
    for cells in islice(sheet.iter_rows(values_only=True), MAX_ROWS):
        if len(cells) > MAX_COLUMNS:
            raise TableError(f"`{path}` has a row of more than {MAX_COLUMNS} cells", "remove the columns not needed")
        yield cells


def _plain(value: Any) -> object:
    """Return dates and times as text."""
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _refuse_unsafe(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(len(OLE))
    if start == OLE:
        raise TableError(
            f"`{path}` is encrypted, or in the format before 2007", "save it without a password as .xlsx or as csv"
        )
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
    # zipfile reads no more of a part than it claims here.
    size = sum(part.file_size for part in parts)
    if size > MAX_BYTES or len(parts) > MAX_PARTS:
        raise TableError(
            f"`{path}` unpacks to {size:,} bytes in {len(parts):,} parts, more than a table needs",
            "save the sheet as csv in UTF-8",
        )


@contextmanager
def _documented(path: Path) -> Iterator[Any]:
    """Give openpyxl while the block runs; what it raises on damaged bytes becomes a TableError."""
    try:
        import openpyxl
    except ImportError:
        raise MissingExtra("openpyxl", "tables") from None
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions, which carry no text
            yield openpyxl
    except HeadstartError:
        raise
    except Exception as error:
        raise TableError(f"`{path}` is not a workbook, or damaged", "save it again as .xlsx, or as csv") from error


format = Excel()
