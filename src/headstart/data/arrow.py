"""Turn Arrow tables into rows: class numbers into names, and pictures or recordings inside the table into files.

What the columns of a table are, Hugging Face `datasets` writes into the metadata of its schema, in saved data sets as
in parquet files. Only pyarrow is needed to read them, and no code of a data set is ever run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xxhash

from headstart.data.media import SUFFIXES
from headstart.data.table import Table, refuse_repeated
from headstart.durable import write_durably
from headstart.errors import HeadstartError, MissingExtra, TableError, first_line
from headstart.place import copies_folder
from headstart.types import Kind, Skipped

if TYPE_CHECKING:
    import pyarrow

MAX_BYTES = 2 << 30
MAX_ROWS = 10_000_000
_KINDS: Mapping[str, Kind] = {"Image": "image", "Audio": "audio"}
# What a recording or a picture starts with, where the table does not say how its file was called.
_SIGNATURES = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png", b"RIFF": ".wav", b"fLaC": ".flac", b"OggS": ".ogg"}


@dataclass
class _Columns:
    """What the columns of a schema are: `names` of the classes by their number, `media` by kind."""

    names: dict[str, list[str]] = field(default_factory=dict)
    media: dict[str, Kind] = field(default_factory=dict)


def read_table(path: Path, schema: pyarrow.Schema, batches: Iterable[pyarrow.RecordBatch]) -> Table:
    """Return an Arrow table as a `Table`; a row with a class or a file that cannot be used is skipped.

    Args:
        path: what messages name.
        schema: the columns.
        batches: the rows.
    """
    refuse_repeated(path, tuple(schema.names))
    columns = _columns(schema)
    rows: list[tuple[int, Mapping[str, object]]] = []
    skipped = []
    number = size = 0
    for batch in batches:
        size += batch.nbytes
        refuse_large(path, size, number + batch.num_rows)
        for cells in batch.to_pylist():
            number += 1
            try:
                rows.append((number, _cells(cells, columns)))
            except ValueError as error:
                skipped.append(Skipped(f"row {number}", str(error)))
    if not number:
        raise TableError(f"`{path}` has no rows", "give a table with at least two")
    return Table(path, tuple(schema.names), tuple(rows), tuple(skipped), media=columns.media)


@contextmanager
def explaining(path: Path) -> Iterator[Any]:
    """Give pyarrow while the block runs; what it raises on damaged bytes becomes a TableError."""
    try:
        import pyarrow
    except ImportError:
        raise MissingExtra("pyarrow", "tables") from None
    try:
        yield pyarrow
    except HeadstartError:
        raise
    except Exception as error:
        raise TableError(f"`{path}` is truncated or damaged: {first_line(error)}", "write it again") from error


def refuse_large(path: Path, size: int, rows: int = 0) -> None:
    """Raise where a table has more bytes or rows than fit into memory; few bytes can stand for many equal rows."""
    if size > MAX_BYTES or rows > MAX_ROWS:
        raise TableError(
            f"`{path}` unfolds to {size:,} bytes in {rows:,} rows, more than {MAX_BYTES:,} or {MAX_ROWS:,}",
            "divide it into smaller tables",
        )


def _columns(schema: pyarrow.Schema) -> _Columns:
    """Read what `datasets` wrote into the metadata; damaged metadata mean plain columns."""
    found = _Columns()
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        for name, feature in features.items():
            if name not in schema.names or not isinstance(feature, dict):
                continue
            if feature.get("_type") == "ClassLabel":
                found.names[name] = [str(one) for one in feature["names"]]
            elif kind := _KINDS.get(str(feature.get("_type"))):
                found.media[name] = kind
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        pass
    return found


def _cells(cells: Mapping[str, object], columns: _Columns) -> dict[str, object]:
    """Return the cells of one row, or raise ValueError with a clause that says what is wrong with it."""
    found = {name: _plain(value) for name, value in cells.items()}
    for name, names in columns.names.items():
        found[name] = _class(name, cells[name], names)
    for name, kind in columns.media.items():
        found[name] = _file(cells[name], kind)
    return found


def _plain(value: object) -> object:
    """Return dates and times as text, decimals as numbers."""
    if isinstance(value, date | time):  # a datetime is a date
        return str(value)
    return float(value) if isinstance(value, Decimal) else value


def _class(column: str, value: object, names: list[str]) -> str | None:
    if value is None or value == -1:  # how `datasets` writes a missing class
        return None
    if not isinstance(value, int) or not 0 <= value < len(names):
        raise ValueError(f"has the class number `{value}` in column `{column}`, which names {len(names)} classes")
    return names[value]


def _file(value: object, kind: Kind) -> Path | str | None:
    """Return the file of a picture or recording: written once to the cache, or where the table says."""
    if not isinstance(value, dict):
        return None
    data, path = value.get("bytes"), value.get("path")
    if not isinstance(data, bytes):
        return path if isinstance(path, str) else None
    target = copies_folder() / (xxhash.xxh3_128_hexdigest(data) + _suffix(data, path, kind))
    if not (target.is_file() and target.stat().st_size == len(data)):
        write_durably(target, data)
    return target


def _suffix(data: bytes, path: object, kind: Kind) -> str:
    """Return the ending of a file: as it was called, else by how its content starts."""
    named = Path(path).suffix.lower() if isinstance(path, str) else ""
    if named in SUFFIXES[kind]:
        return named
    return next((suffix for start, suffix in _SIGNATURES.items() if data.startswith(start)), "")
