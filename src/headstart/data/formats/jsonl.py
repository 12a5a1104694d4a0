"""JSON lines: one object a line (https://jsonlines.org)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from headstart.data.table import Table, TableFormat, decode, sample_rows
from headstart.errors import TableError
from headstart.types import Skipped


class JsonLines(TableFormat):
    name: ClassVar[str] = "jsonl"
    suffixes: ClassVar[tuple[str, ...]] = (".jsonl", ".ndjson")

    def open_table(self, path: Path) -> Table:
        text = decode(path)
        if text.lstrip().startswith("["):
            raise TableError(
                f"`{path}` is a JSON array, not JSON lines", f"jq -c '.[]' '{path.name}' writes one a line"
            )
        rows, skipped = [], []
        # str.splitlines would also cut at U+2028, which JSON allows inside a text
        lines = [line for line in text.split("\n") if line.strip()]
        for number, line in enumerate(lines, start=1):
            try:
                rows.append((number, _parse(line)))
            except ValueError as error:
                skipped.append(Skipped(f"row {number}", str(error)))
        if not rows:
            reason = f": {skipped[0].name} {skipped[0].error}" if skipped else ""
            raise TableError(
                f"`{path}` holds no JSON object{reason}",
                'write lines such as {"text": "...", "label": "..."}',
            )
        columns = dict.fromkeys(key for _, row in rows for key in row)
        return Table(path, tuple(columns), tuple(rows), tuple(skipped))

    def sample(self, folder: Path) -> Path:
        path = folder / "sample.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in sample_rows()), encoding="utf-8")
        return path


def _parse(line: str) -> dict[str, Any]:
    """Return the object in `line`, or raise ValueError with a clause that says what it is instead."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not isinstance(row, dict):
        raise ValueError("is not a JSON object")
    if "\\u" in line:
        _refuse_lone_surrogates(row)
    return row


def _refuse_lone_surrogates(row: dict[str, Any]) -> None:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair, which is no character") from None


format = JsonLines()
