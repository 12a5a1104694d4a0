"""Folders that Hugging Face `datasets` writes with `save_to_disk`: one data set, or one a split."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from headstart.data.arrow import explaining, read_table, refuse_large
from headstart.data.formats.contract import Columns, Format, Note
from headstart.data.split import split_named
from headstart.data.table import Table, examples, sample_rows, unique
from headstart.data.walk import folders, is_file, printable
from headstart.errors import TableError
from headstart.types import Example, Kind, Skipped

STATE = "state.json"
SPLITS_LISTED = "dataset_dict.json"
_HEADER, _COMPRESSION = 2, 3  # fields of the tables Message and RecordBatch
BATCH_ROWS = 256  # pictures lie in rows too


class SavedDataset(Format):
    name: ClassVar[str] = "saved-dataset"
    kinds: ClassVar[tuple[Kind, ...]] = ("text", "image", "audio")

    def recognises(self, path: Path) -> bool:
        return is_file(path / SPLITS_LISTED) or is_file(path / STATE)

    def read(self, path: Path, columns: Columns, *, kind: Kind | None = None) -> Iterator[Example | Skipped | Note]:
        return unique(self._read(path, columns, kind))

    def _read(self, path: Path, columns: Columns, kind: Kind | None) -> Iterator[Example | Skipped | Note]:
        if is_file(path / STATE):
            yield from examples(_open(path), columns, kind=kind)
            return
        parts = [(split_named(folder.name), folder) for folder in folders(path) if is_file(folder / STATE)]
        if not any(split for split, _ in parts):
            found = ", ".join(f"`{folder}`" for _, folder in parts[:5]) or "another folder"
            raise TableError(f"`{path}` has no split that is called train", f"give one of its splits: {found}")
        for split, folder in parts:
            if split:
                yield from examples(_open(folder), columns, kind=kind, split=split, within=path)
            else:
                yield Note(f"the split `{printable(folder.name)}` was left out: it is none of train, validation, test.")

    def sample(self, folder: Path) -> Path:
        import pyarrow

        path = folder / "sample-dataset"
        path.mkdir()
        table = pyarrow.Table.from_pylist(sample_rows())
        with pyarrow.ipc.new_stream(path / "data.arrow", table.schema) as file:
            file.write_table(table)
        (path / STATE).write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}), encoding="utf-8")
        return path


def _open(folder: Path) -> Table:
    """Read the Arrow streams that the folder's state names."""
    files = _files(folder)
    refuse_large(folder, sum(file.stat().st_size for file in files))
    with explaining(folder) as pyarrow:
        # Read, not mapped: a file that is cut while it is mapped would end the process.
        streams = [file.read_bytes() for file in files]
        for file, stream in zip(files, streams, strict=True):
            _refuse_compressed(file, pyarrow.ipc.MessageReader.open_stream(stream))
        tables = [pyarrow.ipc.open_stream(stream).read_all() for stream in streams]
        for table in tables:
            table.validate(full=True)
        whole = pyarrow.concat_tables(tables)
        return read_table(folder / STATE, whole.schema, whole.to_batches(BATCH_ROWS))


def _refuse_compressed(file: Path, messages: Iterable[Any]) -> None:
    """Raise where a batch is compressed, before it unfolds; `datasets` never writes one."""
    if any(message.type == "record batch" and _has_compression(bytes(message.metadata)) for message in messages):
        raise TableError(f"`{file}` holds compressed batches", "save the data set again, without compression")


def _has_compression(message: bytes) -> bool:
    """Say whether the flatbuffer of a record batch has its field `compression` (Arrow's Message.fbs)."""
    (root,) = struct.unpack_from("<I", message)
    header = _field(message, root, _HEADER)
    return header is not None and _field(message, header + _offset(message, header), _COMPRESSION) is not None


def _field(message: bytes, table: int, number: int) -> int | None:
    """Return where a field of a flatbuffer's table lies, None where it is absent."""
    (back,) = struct.unpack_from("<i", message, table)
    (size,) = struct.unpack_from("<H", message, table - back)
    if 4 + 2 * number >= size:
        return None
    (place,) = struct.unpack_from("<H", message, table - back + 4 + 2 * number)
    return table + place if place else None


def _offset(message: bytes, place: int) -> int:
    return int(struct.unpack_from("<I", message, place)[0])


def _files(folder: Path) -> list[Path]:
    state = folder / STATE
    try:
        names = [str(one["filename"]) for one in json.loads(state.read_text(encoding="utf-8"))["_data_files"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise TableError(f"`{state}` is damaged", "save the data set again") from None
    # A name is one of this folder, whatever a state file says.
    files = [folder / Path(name).name for name in names]
    missing = [file for file in files if not is_file(file)]
    if missing or not files:
        raise TableError(f"`{folder}` lacks its file `{missing[0].name if missing else '*.arrow'}`", "save it again")
    return files


format = SavedDataset()
