"""Workbooks: cells as they are shown, bombs and damage refused in time."""

from __future__ import annotations

import time
import zipfile
from contextlib import suppress
from datetime import date
from pathlib import Path

import openpyxl
import pytest

from headstart.data.dataset import open_dataset
from headstart.data.formats import excel
from headstart.data.formats.contract import Columns, Note
from headstart.errors import DataError, TableError
from headstart.registry import plugin
from headstart.types import Example, Skipped
from samples import reviews
from unit.test_data_arrow import mutants

SHEET = "xl/worksheets/sheet1.xml"


def write(path: Path, *rows: list[object], other_sheets: tuple[str, ...] = ()) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for name in other_sheets:
        book.create_sheet(name)
    book.save(path)
    return path


def read(path: Path) -> list[Example | Skipped | Note]:
    return list(plugin("data.formats", "excel").read(path, Columns()))


def repacked(path: Path, part: str, data: bytes) -> Path:
    """Write a workbook again with other bytes in one of its parts."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**parts, part: data}.items():
            archive.writestr(name, content)
    return path


def sheet_of(rows: str, dimension: str = "") -> bytes:
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    return f"<worksheet {space}>{dimension}<sheetData>{rows}</sheetData></worksheet>".encode()


def test_a_workbook_gives_what_the_same_csv_gives(tmp_path: Path) -> None:
    rows = reviews(24)
    path = write(tmp_path / "t.xlsx", ["text", "label"], *([row["text"], row["label"]] for row in rows))
    assert [example.inputs["text"] for example in open_dataset(path).examples] == [row["text"] for row in rows]


def test_empty_rows_above_the_header_other_sheets_and_merged_cells(tmp_path: Path) -> None:
    path = write(tmp_path / "t.xlsx", [None], ["text", "label"], ["a", 1], ["b", None], other_sheets=("more",))
    book = openpyxl.load_workbook(path)
    book.active.merge_cells("B3:B4")
    book.save(path)
    examples, notes = [x for x in read(path) if isinstance(x, Example)], [x for x in read(path) if isinstance(x, Note)]
    assert [(example.name, example.target) for example in examples] == [("row 1", 1), ("row 2", None)]
    assert ["`more`" in notes[0].sentence, "merged cells" in notes[1].sentence] == [True, True]
    with pytest.raises(TableError) as caught:
        read(write(tmp_path / "empty.xlsx", other_sheets=("reviews",)))
    assert "`reviews`" in caught.value.hint


def test_numbers_dates_gaps_and_long_rows(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.xlsx",
        ["text", "label", None],
        ["a", 1],
        [None, None],
        [date(2026, 1, 2), 2.5],
        ["c"],
        ["d", 1, 9, 9],
    )
    found = read(path)
    assert [(item.inputs["text"], item.target) for item in found if isinstance(item, Example)] == [
        ("a", 1),
        ("2026-01-02 00:00:00", 2.5),
        ("c", None),
    ]
    assert [item.name for item in found if isinstance(item, Skipped)] == ["row 5"]


def test_formulas_are_not_computed(tmp_path: Path) -> None:
    found = read(write(tmp_path / "t.xlsx", ["text", "label"], ["a", "x"], ['=HYPERLINK("file:///etc/passwd")', "y"]))
    assert found[1] == Skipped("row 2", "has nothing in column `text`")


def test_numbers_among_words_are_named_with_their_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "t.xlsx", ["text", "label"], *([f"text {n}", "x" if n % 2 else 7] for n in range(8)))
    (note,) = [note for note in open_dataset(path).notes if note.startswith("Some labels are")]
    assert "`row 1`" in note
    assert "`row 2`" in note


def test_other_sheets_are_said(tmp_path: Path) -> None:
    found = read(write(tmp_path / "t.xlsx", ["text", "label"], ["a", "x"], other_sheets=("old",)))
    assert found[0] == Note("Only the first sheet of `t.xlsx` was read, not `old`.")


def test_an_unknown_column_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(TableError) as caught:
        read(write(tmp_path / "t.xlsx", ["text", "labell"], ["a", "x"]))
    assert "`labell`" in caught.value.hint


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a workbook"),
        (b"PK\x03\x04 cut", "not a workbook"),
        (b"text,label\na,b\n", "not a workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "encrypted"),
    ],
)
def test_what_is_no_workbook_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "t.xlsx"
    path.write_bytes(data)
    with pytest.raises(TableError, match=said):
        read(path)


def test_an_empty_sheet_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="is empty"):
        read(write(tmp_path / "t.xlsx"))


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = repacked(write(tmp_path / "t.xlsx", ["text", "label"]), "xl/media/bomb", bytes(30 << 20))
    monkeypatch.setattr(excel, "MAX_BYTES", 20 << 20)
    with pytest.raises(TableError, match="unpacks to 31,4"):
        read(path)
    monkeypatch.setattr(excel, "MAX_PARTS", 3)
    with pytest.raises(TableError, match="parts"):
        read(path)


HEADER = '<row r="1"><c t="inlineStr"><is><t>text</t></is></c><c t="inlineStr"><is><t>label</t></is></c></row>'
WIDE = '<row r="2"><c r="XFD2"><v>1</v></c></row>'
FAR = '<row r="999999999"><c r="A999999999"><v>1</v></c></row>'
LAUGHS = (
    b'<!DOCTYPE x [<!ENTITY a "'
    + b"ha" * 5000
    + b'">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 20) for n in range(8))
    + b"]><worksheet>&i;</worksheet>"
)


@pytest.mark.parametrize(
    "sheet",
    [
        sheet_of(HEADER + WIDE),
        sheet_of(HEADER + FAR),
        sheet_of(HEADER, '<dimension ref="A1:XFD1048576"/>'),
        sheet_of('<row r="1"><c r="ZZZZZZ1"/></row>'),
        LAUGHS,
    ],
    ids=["wide", "far", "claimed", "impossible", "entities"],
)
def test_what_unfolds_in_reading_is_refused_in_time(tmp_path: Path, sheet: bytes) -> None:
    path = repacked(write(tmp_path / "t.xlsx", ["text", "label"]), SHEET, sheet)
    started = time.process_time()
    with suppress(DataError):
        assert not [item for item in read(path) if isinstance(item, Example)]
    assert time.process_time() - started < 4


def test_mutants_are_read_or_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t.xlsx", ["text", "label"], *([f"text {n}", n % 2] for n in range(12)))
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        sheet = archive.read(SHEET)

    def refused(mutant: Path) -> bool:
        try:
            return not read(mutant)
        except DataError:
            return True

    outcomes = []
    for mutant in mutants(whole, 120):
        path.write_bytes(mutant)
        outcomes.append(refused(path))
    for mutant in mutants(sheet, 120):
        path.write_bytes(whole)
        outcomes.append(refused(repacked(path, SHEET, mutant)))
    assert 0 < sum(outcomes) < len(outcomes), "damage that is never, or always, refused tests nothing"
