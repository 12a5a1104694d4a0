"""A format: a class and a text in each line, with an arrow between."""

from __future__ import annotations

from pathlib import Path

from headstart.data.table import Table, TableFormat, sample_rows


class Arrows(TableFormat):
    name = "toy-format"
    suffixes = (".arrows",)

    def open_table(self, path: Path) -> Table:
        lines = path.read_text("utf-8").splitlines()
        cells = [dict(zip(("label", "text"), line.split(" -> ", 1), strict=True)) for line in lines]
        return Table(path, ("label", "text"), tuple(enumerate(cells, start=1)))

    def sample(self, folder: Path) -> Path:
        path = folder / "sample.arrows"
        path.write_text("".join(f"{row['label']} -> {row['text']}\n" for row in sample_rows()), "utf-8")
        return path


format = Arrows()
