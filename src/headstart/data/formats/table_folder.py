"""A folder with one table a split: train.csv and, optionally, validation.csv and test.csv (or tsv, jsonl)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from headstart.data.formats.contract import Columns, Format, Note
from headstart.data.split import split_named
from headstart.data.table import examples, is_table, open_table, sample_rows, single_table, unique
from headstart.data.walk import entries
from headstart.types import SPLITS, Example, Kind, Skipped, Split


class TableFolder(Format):
    name: ClassVar[str] = "table-folder"
    kinds: ClassVar[tuple[Kind, ...]] = ("text", "image", "audio")

    def recognises(self, path: Path) -> bool:
        return bool(split_tables(path).get("train"))

    def read(self, path: Path, columns: Columns, *, kind: Kind | None = None) -> Iterator[Example | Skipped | Note]:
        return unique(self._read(path, columns, kind))

    def _read(self, path: Path, columns: Columns, kind: Kind | None) -> Iterator[Example | Skipped | Note]:
        found = split_tables(path)
        for split in SPLITS:
            table = single_table(found.get(split, []), split)
            if table is not None:
                yield from examples(open_table(table), columns, kind=kind, split=split, within=path)

    def sample(self, folder: Path) -> Path:
        path = folder / "tables"
        path.mkdir()
        lines = ["\t".join(row.values()) + "\n" for row in sample_rows()]
        (path / "train.tsv").write_text("text\tlabel\n" + "".join(lines[:-4]), encoding="utf-8")
        (path / "test.tsv").write_text("text\tlabel\n" + "".join(lines[-4:]), encoding="utf-8")
        return path


def split_tables(folder: Path) -> dict[Split, list[Path]]:
    """Return the tables in `folder` whose names are those of splits."""
    found: dict[Split, list[Path]] = {}
    for path in entries(folder):
        split = split_named(path.stem)
        if split and is_table(path):
            found.setdefault(split, []).append(path)
    return found


format = TableFolder()
