"""CoNLL files: a word a line with its tag in the last column, and a blank line after each text.

The columns are those of the shared task of 2003 (Tjong Kim Sang & De Meulder): the first is the word, the last the
tag, whatever lies between is not read. Lines that begin with `-DOCSTART-` are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from headstart.data.table import TAGS, WORDS, Table, TableFormat, decode
from headstart.errors import TableError
from headstart.types import Kind, Skipped

DOCUMENT = "-DOCSTART-"


class Conll(TableFormat):
    name: ClassVar[str] = "conll"
    kinds: ClassVar[tuple[Kind, ...]] = ("text",)
    suffixes: ClassVar[tuple[str, ...]] = (".conll", ".bio", ".iob")

    def open_table(self, path: Path) -> Table:
        rows, skipped = [], []
        for number, lines in enumerate(_texts(decode(path)), start=1):
            bad = next((line for line, cells in lines if len(cells) < 2), None)
            if bad is None:
                words, tags = zip(*((cells[0], cells[-1]) for _, cells in lines), strict=True)
                rows.append((number, {WORDS: list(words), TAGS: list(tags)}))
            else:
                skipped.append(Skipped(f"row {number}", f"has a word without a tag in line {bad}"))
        if not rows:
            raise TableError(f"`{path}` holds no text with tags", "write one word a line, a space, and its tag")
        notes = (f"`{path.name}` holds one text: a blank line ends a text.",) if len(rows) == 1 else ()
        return Table(path, (WORDS, TAGS), tuple(rows), tuple(skipped), notes=notes)

    def sample(self, folder: Path) -> Path:
        path = folder / "sample.conll"
        texts = [f"Number {n} {'B-odd' if n % 2 else 'O'}\n{n} O\n" for n in range(12)]
        path.write_text("\n".join(texts), encoding="utf-8")
        return path


def _texts(content: str) -> Iterator[list[tuple[int, list[str]]]]:
    """Yield the lines of each text: their numbers and their columns."""
    lines: list[tuple[int, list[str]]] = []
    for number, line in enumerate([*content.split("\n"), ""], start=1):
        if line.strip() and not line.startswith(DOCUMENT):
            lines.append((number, line.split()))
        elif lines:
            yield lines
            lines = []


format = Conll()
