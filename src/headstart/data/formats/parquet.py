"""Parquet files (https://parquet.apache.org), also those that Hugging Face `datasets` writes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from headstart.data.arrow import explaining, read_table, refuse_large
from headstart.data.table import Table, TableFormat, sample_rows

BATCH_ROWS = 256  # pictures lie in rows too


class Parquet(TableFormat):
    name: ClassVar[str] = "parquet"
    suffixes: ClassVar[tuple[str, ...]] = (".parquet",)

    def open_table(self, path: Path) -> Table:
        with explaining(path):
            from pyarrow import parquet

            with parquet.ParquetFile(path) as file:
                groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
                refuse_large(path, sum(group.total_byte_size for group in groups), file.metadata.num_rows)
                return read_table(path, file.schema_arrow, file.iter_batches(BATCH_ROWS))

    def sample(self, folder: Path) -> Path:
        import pyarrow
        from pyarrow import parquet

        path = folder / "sample.parquet"
        parquet.write_table(pyarrow.Table.from_pylist(sample_rows()), path)
        return path


format = Parquet()
