"""Mistakes with data: where they lie, how folders and tables are made, and what is to be learnt from them."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from mistakes.catalogue import MODEL, NETWORK, mistake
from samples import reviews, write_photos, write_reviews, write_table

PATHS = "Paths"
FOLDERS = "Folders of pictures and recordings"
TABLES = "Tables"
PHOTOS = "reads-photos"  # a network
TARGETS = "Labels and other targets"


def nothing(here: Path, patch: pytest.MonkeyPatch) -> None:
    """Prepare nothing."""


def photos(here: Path, patch: pytest.MonkeyPatch) -> None:
    write_photos(here / "photos", per_class=2)


def table(here: Path, patch: pytest.MonkeyPatch) -> None:
    write_reviews(here / "reviews.csv")


def renamed(here: Path, ending: str) -> None:
    write_photos(here / "photos", per_class=2)
    for file in sorted(here.glob("photos/*/*")):
        file.rename(file.with_suffix(ending))


# Paths

mistake(PATHS, "The path is misspelt", "fit photo")(photos)
mistake(PATHS, "The path ends in a space", "fit 'photos '")(photos)
mistake(PATHS, "A variable of the shell was empty", "fit ''")(photos)
mistake(PATHS, "A page of the web is given", "fit https://example.org/photos.zip")(nothing)
mistake(PATHS, "The home folder is written for a folder that is not there", "fit '~no-such-user/photos'")(nothing)
mistake(PATHS, "The data are named as the output", "fit reviews.csv --output-dir reviews.csv")(table)
mistake(PATHS, "The output folder was not given a name", "fit reviews.csv --output-dir ''")(table)


@mistake(PATHS, "The output folder exists", "fit reviews.csv --output-dir earlier")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    table(here, patch)
    (here / "earlier").mkdir()
    (here / "earlier" / "notes.txt").write_text("mine")


@mistake(PATHS, "The output folder holds a run that was broken off", "fit reviews.csv --output-dir earlier")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    table(here, patch)
    (here / "earlier").mkdir()
    (here / "earlier" / "recipe.toml").write_text("")


# Folders


@mistake(FOLDERS, "The folder is empty", "fit photos")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    (here / "photos").mkdir()


mistake(FOLDERS, "The folder of one class is given", "fit photos/colour0")(photos)
mistake(FOLDERS, "A single picture is given", "fit photos/colour0/photo0.png")(photos)


@mistake(FOLDERS, "A folder some levels above is given", "fit all")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    write_photos(here / "all" / "2026" / "photos", per_class=2)


@mistake(FOLDERS, "There is one class", "fit photos")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    write_photos(here / "photos", classes=1)


@mistake(FOLDERS, "The classes are in the names of the files", "fit photos")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    write_photos(here / "photos")
    for file in sorted(here.glob("photos/*/*")):
        file.rename(here / "photos" / f"{file.parent.name}-{file.name}")
    for folder in sorted(here.glob("photos/*/")):
        folder.rmdir()


@mistake(FOLDERS, "The splits have no folders of classes", "fit photos")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    write_photos(here / "made", classes=2)
    (here / "photos").mkdir()
    (here / "made" / "colour0").rename(here / "photos" / "val")
    (here / "made" / "colour1").rename(here / "photos" / "test")
    (here / "made").rmdir()


@mistake(FOLDERS, "The folder links to itself and has nothing else", "fit photos")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    (here / "photos").mkdir()
    (here / "photos" / "again").symlink_to(".")


@mistake(FOLDERS, "A zip archive is given", "fit photos.zip")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    zipfile.ZipFile(here / "photos.zip", "w").close()


@mistake(FOLDERS, "A video is given", "fit holiday.mp4")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    (here / "holiday.mp4").write_bytes(b"ftyp")


@mistake(FOLDERS, "The pictures are in a format of telephones", "fit photos")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    renamed(here, ".heic")


@mistake(FOLDERS, "The recordings are in a format of telephones", "fit photos")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    renamed(here, ".m4a")


@mistake(FOLDERS, "The folders hold PDF files", "fit papers")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    renamed(here, ".pdf")
    (here / "photos").rename(here / "papers")


@mistake(FOLDERS, "Texts lie in folders, one a file", "fit reviews")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    renamed(here, ".txt")
    (here / "photos").rename(here / "reviews")


@mistake(FOLDERS, "No file is what its name says", f"fit photos --backbone {PHOTOS}")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    from networks import write_network

    write_network(here / PHOTOS, "vit")
    photos(here, patch)
    for file in here.glob("photos/*/*"):
        file.write_bytes(b"no picture, but " + file.as_posix().encode())


@mistake(FOLDERS, "All files are empty", "fit photos")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    photos(here, patch)
    for file in here.glob("photos/*/*"):
        file.write_bytes(b"")


@mistake(FOLDERS, "All files are copies of one", "fit photos")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    photos(here, patch)
    first, *others = sorted(here.glob("photos/*/*"))
    for file in others:
        shutil.copy(first, file)


@mistake(FOLDERS, "The list names files that are not there", "fit photos")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    photos(here, patch)
    rows = [{"file_name": f"{name}/photo0", "label": name} for name in ("colour0", "colour1")]
    write_table(here / "photos" / "metadata.csv", rows)


@mistake(FOLDERS, "The list has no column of files", "fit photos")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    photos(here, patch)
    write_table(here / "photos" / "metadata.csv", [{"picture": "colour0/photo0.png", "label": "colour0"}])


# Tables


@mistake(TABLES, "The text is in a column of another name", "fit reviews.csv")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    write_table(here / "reviews.csv", [{"texts": row["text"], "label": row["label"]} for row in reviews()])


mistake(TABLES, "A column is misspelt", "fit reviews.csv --label-column lable")(table)
mistake(TABLES, "Text and label are swapped", "fit reviews.csv --text-column label --label-column text")(table)
mistake(TABLES, "Data to check have no such column", "check reviews.csv --label-column mood")(table)
mistake(TABLES, "One column is named for two things", "fit reviews.csv --text-column label")(table)
mistake(TABLES, "The column of groups is misspelt", "fit reviews.csv --group-column author")(table)


@mistake(TABLES, "The table has no header", "fit reviews.csv")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    lines = [f'"I wrote this at length. {row["text"]} And I mean it.",{row["label"]}' for row in reviews()]
    (here / "reviews.csv").write_text("\n".join(lines))


@mistake(TABLES, "The table has one column", "fit reviews.csv")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    write_table(here / "reviews.csv", [{"text": row["text"]} for row in reviews()])


@mistake(TABLES, "A title stands above the table", "fit reviews.csv")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    table(here, patch)
    (here / "reviews.csv").write_text("Reviews of 2026\n" + (here / "reviews.csv").read_text())


@mistake(TABLES, "The table has a header alone", "fit reviews.csv")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    (here / "reviews.csv").write_text("text,label\n")


@mistake(TABLES, "The table is empty", "fit reviews.csv")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    (here / "reviews.csv").write_text("\n")


@mistake(TABLES, "The column of texts holds numbers of rows", "fit reviews.csv")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    write_table(here / "reviews.csv", [{"text": 1000 + n, "label": row["label"]} for n, row in enumerate(reviews())])


@mistake(TABLES, "The column of texts is empty", "fit reviews.csv")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    write_table(here / "reviews.csv", [{"text": "", "label": row["label"]} for row in reviews()])


@mistake(TABLES, "All texts are the same", "fit reviews.csv")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    write_table(here / "reviews.csv", [{"text": "see below", "label": row["label"]} for row in reviews()])


@mistake(TABLES, "The table was saved as UTF-16", "fit reviews.csv")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    table(here, patch)
    (here / "reviews.csv").write_text((here / "reviews.csv").read_text(), encoding="utf-16")


@mistake(TABLES, "The table was saved in the encoding of old systems", "fit reviews.csv")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    (here / "reviews.csv").write_bytes("text,label\ncafé,good\nthé,bad\n".encode("windows-1252"))


@mistake(TABLES, "A quote is never closed", "fit reviews.csv")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    (here / "reviews.csv").write_text('text,label\n"fine,good\nbad,bad\n')


@mistake(TABLES, "A workbook of old Excel is given", "fit reviews.xls")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    (here / "reviews.xls").write_bytes(b"\xd0\xcf\x11\xe0")


@mistake(TABLES, "A workbook was renamed to csv", "fit reviews.csv")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    (here / "reviews.csv").write_bytes(b"PK\x03\x04")


@mistake(TABLES, "The first sheet of the workbook is empty", "fit reviews.xlsx")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.create_sheet("Reviews")
    book.save(here / "reviews.xlsx")


@mistake(TABLES, "One large JSON list is given", "fit reviews.json")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    (here / "reviews.json").write_text(json.dumps(reviews()))


@mistake(TABLES, "A parquet file was cut short", "fit reviews.parquet")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    (here / "reviews.parquet").write_bytes(b"")


@mistake(TABLES, "A document of texts is given", "fit reviews.docx")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    (here / "reviews.docx").write_bytes(b"PK\x03\x04")


@mistake(TABLES, "The value of a split is misspelt", "fit reviews.csv")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    write_table(here / "reviews.csv", [row | {"split": "trian"} for row in reviews()])


@mistake(TABLES, "No split is for training", "fit reviews.csv")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    write_table(here / "reviews.csv", [row | {"split": "test"} for row in reviews()])


@mistake(TABLES, "Words and tags lie in a file with another ending", "fit words.txt")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    (here / "words.txt").write_text("Berlin B-PLACE\n")


@mistake(TABLES, "A word of a CoNLL file has no tag", "fit words.conll")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    (here / "words.conll").write_text("Berlin\n")


# Targets


@mistake(TARGETS, "All labels are the same", "fit reviews.csv")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    write_table(here / "reviews.csv", reviews(classes=1))


@mistake(TARGETS, "The column of labels is empty", "fit reviews.csv")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    write_table(here / "reviews.csv", [row | {"label": ""} for row in reviews()])


@mistake(TARGETS, "Numbers are to be learnt from a column of words", "fit reviews.csv --task text-regression")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    table(here, patch)


@mistake(TARGETS, "Numbers have a comma for the point", "fit flats.csv --task text-regression")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    write_table(here / "flats.csv", [{"text": row["text"], "label": f"{n},5"} for n, row in enumerate(reviews())])


@mistake(TARGETS, "Numbers are missing or no numbers", "fit flats.csv --task text-regression")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    write_table(here / "flats.csv", [{"text": row["text"], "label": "nan"} for row in reviews()])


@mistake(TARGETS, "All numbers are the same", f"fit flats.csv --task text-regression --backbone {NETWORK}")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    write_table(here / "flats.csv", [{"text": row["text"], "label": 3} for row in reviews()])


@mistake(TARGETS, "A column of several labels is not yes or no", "fit t.csv --label-column wet --label-column cold")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    write_table(here / "t.csv", [{"text": row["text"], "wet": "a bit", "cold": 1} for row in reviews()])


@mistake(TARGETS, "No example has any of several labels", "fit t.csv --label-column wet --label-column cold")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    write_table(here / "t.csv", [{"text": row["text"], "wet": 0, "cold": 0} for row in reviews()])


mistake(TARGETS, "Tags are to be learnt from one label a text", "fit reviews.csv --task token-tagging")(table)


@mistake(TARGETS, "Data to judge on have a class that the model does not know", f"evaluate {MODEL} new.csv")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    write_reviews(here / "new.csv", classes=3, seed=4)


@mistake(TARGETS, "Data to judge on have no labels", f"evaluate {MODEL} new.csv")
def _(here: Path, patch: pytest.MonkeyPatch) -> None:
    write_table(here / "new.csv", [{"text": row["text"]} for row in reviews(seed=4)])
