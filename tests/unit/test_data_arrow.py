"""Parquet files and saved data sets: classes by name, media out of the table, and one error for damaged bytes."""

from __future__ import annotations

import io
import json
import sys
import time
from contextlib import suppress
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from headstart.data import arrow
from headstart.data.dataset import open_dataset
from headstart.data.formats.contract import Columns, Note
from headstart.errors import DataError, MissingExtra, TableError
from headstart.registry import plugin
from headstart.types import Example, Skipped
from samples import reviews

FEATURES = {"label": {"_type": "ClassLabel", "names": ["bad", "good"]}, "image": {"_type": "Image"}}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def table(rows: list[dict[str, object]], features: dict | None = None) -> pyarrow.Table:
    made = pyarrow.Table.from_pylist(rows)
    if features:
        named = {name: feature for name, feature in features.items() if name in made.column_names}
        made = made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": named}})})
    return made


def write(path: Path, rows: list[dict[str, object]], features: dict | None = None) -> Path:
    parquet.write_table(table(rows, features), path)
    return path


def save(folder: Path, *tables: pyarrow.Table) -> Path:
    folder.mkdir(parents=True)
    names = [f"data-{number}.arrow" for number in range(len(tables))]
    for name, one in zip(names, tables, strict=True):
        with pyarrow.ipc.new_stream(folder / name, one.schema) as file:
            file.write_table(one)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    return folder


def picture(number: int) -> dict[str, object]:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (number, 0, 0)).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


def read(path: Path, format: str = "parquet", **columns: str) -> list[Example | Skipped | Note]:
    return list(plugin("data.formats", format).read(path, Columns(**columns)))


@pytest.mark.parametrize(
    ("format", "package"), [("parquet", "pyarrow"), ("saved-dataset", "pyarrow"), ("excel", "openpyxl")]
)
def test_a_missing_package_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, format: str, package: str
) -> None:
    path = plugin("data.formats", format).sample(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=f"`{package}`") as caught:
        read(path, format)
    assert "headstart[tables]" in caught.value.hint


def test_class_numbers_become_names_and_rows_without_one_are_named(tmp_path: Path) -> None:
    rows = [
        {"text": "a", "label": 0},
        {"text": "b", "label": 1},
        {"text": "c", "label": None},
        {"text": "d", "label": 7},
    ]
    dataset = open_dataset(write(tmp_path / "t.parquet", rows, FEATURES))
    assert [example.target for example in dataset.examples] == ["bad", "good"]
    skipped = {item.name: item.error for item in dataset.skipped}
    assert skipped["row 3"] == "has no label"
    assert "class number `7`" in skipped["row 4"]


def test_numbers_that_are_no_number_are_named_with_their_row(tmp_path: Path) -> None:
    rows = [{"text": f"text {number}", "label": number % 2 + 0.5} for number in range(6)]
    dataset = open_dataset(write(tmp_path / "t.parquet", [*rows, {"text": "a", "label": float("nan")}]))
    assert dataset.skipped == (Skipped("row 7", "has no label"),)


def test_dates_decimals_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    rows = [{"text": "a", "label": date(2026, 1, 2)}, {"text": "b", "label": None}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert [item.target for item in read(path) if isinstance(item, Example)] == ["2026-01-02", None]
    parquet.write_table(pyarrow.Table.from_pylist([{"text": "a", "label": Decimal("1.5")}]), path)
    assert next(item.target for item in read(path) if isinstance(item, Example)) == 1.5
    parquet.write_table(pyarrow.Table.from_pylist([{"text": b"a", "label": "x"}]), path)
    assert "a value of type bytes" in next(item.error for item in read(path) if isinstance(item, Skipped))


def test_an_unknown_column_is_answered_with_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", [{"text": "a", "lable": "x"}])
    with pytest.raises(TableError) as caught:
        read(path)
    assert "`label`" in caught.value.message
    assert "`lable`" in caught.value.hint


def test_pictures_inside_a_table_are_written_once(tmp_path: Path, cache: Path) -> None:
    rows = [{"image": picture(n), "label": n % 2} for n in range(12)]
    path = write(tmp_path / "t.parquet", rows, FEATURES)
    dataset = open_dataset(path)
    assert (dataset.kind, dataset.labels) == ("image", ("bad", "good"))
    assert dataset.examples[0].name == "row 1"
    files = sorted((cache / "copies").iterdir())
    assert len(files) == 12
    before = [file.stat().st_mtime_ns for file in files]
    assert [example.inputs for example in open_dataset(path).examples] == [e.inputs for e in dataset.examples]
    assert [file.stat().st_mtime_ns for file in files] == before


def test_a_saved_data_set_in_several_files(tmp_path: Path) -> None:
    rows = reviews(24)
    folder = save(tmp_path / "saved", table(rows[:10]), table(rows[10:]))
    assert [example.inputs["text"] for example in open_dataset(folder).examples] == [row["text"] for row in rows]


def test_saved_splits_keep_their_names(tmp_path: Path) -> None:
    rows = reviews(24)
    save(tmp_path / "saved/train", table(rows[:16]))
    save(tmp_path / "saved/dev", table(rows[16:20]))
    save(tmp_path / "saved/unsupervised", table(rows[20:]))
    (tmp_path / "saved/dataset_dict.json").write_text('{"splits": ["train", "dev", "unsupervised"]}')
    dataset = open_dataset(tmp_path / "saved")
    assert len(dataset.split("train")) + len(dataset.split("validation")) == 20
    assert len(dataset.split("validation")) == 4
    assert any("`unsupervised` was left out" in note for note in dataset.notes)


def test_a_state_file_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    folder = save(tmp_path / "saved", table(reviews(4)))
    (tmp_path / "secret.arrow").write_bytes((folder / "data-0.arrow").read_bytes())
    (folder / "state.json").write_text('{"_data_files": [{"filename": "../secret.arrow"}]}')
    with pytest.raises(TableError, match="lacks its file `secret.arrow`"):
        read(folder, "saved-dataset")


@pytest.mark.parametrize("state", ["", "[]", "{", '{"_data_files": 3}', '{"_data_files": []}', "[" * 100_000])
def test_a_damaged_state_is_said(tmp_path: Path, state: str) -> None:
    folder = save(tmp_path / "saved", table(reviews(4)))
    (folder / "state.json").write_text(state)
    with pytest.raises(TableError):
        read(folder, "saved-dataset")


@pytest.mark.parametrize("features", ["[]", "nonsense", {"label": 3}, {"label": {"_type": "ClassLabel"}}])
def test_damaged_metadata_mean_plain_columns(tmp_path: Path, features: object) -> None:
    made = pyarrow.Table.from_pylist([{"text": "a", "label": 0}])
    made = made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    parquet.write_table(made, tmp_path / "t.parquet")
    assert [item.target for item in read(tmp_path / "t.parquet")] == [0]


def test_what_unfolds_to_too_much_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "t.parquet", [{"text": "x" * 1000, "label": "a"}] * 1000)
    monkeypatch.setattr(arrow, "MAX_BYTES", 1000)
    with pytest.raises(TableError, match="unfolds to"):
        read(path)


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_compressed_batches_are_refused_before_they_unfold(tmp_path: Path, codec: str) -> None:
    folder = save(tmp_path / "saved", table(reviews(4)))
    made = table([{"text": "x" * 100_000, "label": "a"}] * 20)
    options = pyarrow.ipc.IpcWriteOptions(compression=codec)
    with pyarrow.ipc.new_stream(folder / "data-0.arrow", made.schema, options=options) as file:
        file.write_table(made)
    with pytest.raises(TableError, match="compressed"):
        read(folder, "saved-dataset")


def test_few_bytes_that_stand_for_many_rows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = pyarrow.table({"text": pyarrow.array(["x" * 1000] * 20_000), "label": pyarrow.array(["a"] * 20_000)})
    parquet.write_table(made, tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size < 20_000
    monkeypatch.setattr(arrow, "MAX_BYTES", 5_000_000)
    with pytest.raises(TableError, match="unfolds to 5"):
        read(tmp_path / "t.parquet")
    monkeypatch.setattr(arrow, "MAX_ROWS", 19_999)
    with pytest.raises(TableError, match="in 20,000 rows"):
        read(tmp_path / "t.parquet")


def mutants(data: bytes, count: int) -> list[bytes]:
    """Return truncations, flipped bytes and zeroed stretches of `data`."""
    random = np.random.default_rng(0)
    found = []
    for number in range(count):
        changed = bytearray(data)
        at = int(random.integers(len(data)))
        if number % 3 == 0:
            del changed[at:]
        elif number % 3 == 1:
            for place in random.integers(0, len(data), 1 + number % 7):
                changed[place] = int(random.integers(256))
        else:
            changed[at : at + 16] = bytes(random.integers(0, 256, len(changed[at : at + 16]), dtype=np.uint8))
        found.append(bytes(changed))
    return found


@pytest.mark.parametrize("what", ["parquet", "saved-dataset"])
def test_mutants_are_read_or_refused(tmp_path: Path, what: str) -> None:
    rows = [{"image": picture(n), "text": f"text {n}", "label": n % 2} for n in range(12)]
    if what == "parquet":
        path = file = write(tmp_path / "t.parquet", rows, FEATURES)
    else:
        path = save(tmp_path / "saved", table(rows, FEATURES))
        file = path / "data-0.arrow"
    for mutant in mutants(file.read_bytes(), 300):
        file.write_bytes(mutant)
        started = time.process_time()
        with suppress(DataError):
            read(path, what)
        assert time.process_time() - started < 2
