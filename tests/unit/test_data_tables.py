"""Tables: every dialect that users write, and what each broken one is told."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.dataset import Dataset, open_dataset
from headstart.errors import DataError, TableError
from samples import reviews, write_photos, write_reviews, write_sounds, write_table

ROWS = "text,label\na fine film,good\na dull film,bad\n"


def opened(folder: Path, content: str | bytes, name: str = "data.csv", **options: str) -> Dataset:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return open_dataset(path, **options)


def texts(dataset: Dataset) -> list[object]:
    return [example.inputs["text"] for example in dataset.examples]


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
def test_every_kind_of_table_gives_the_same_examples(tmp_path: Path, ending: str):
    dataset = open_dataset(write_reviews(tmp_path / f"reviews.{ending}"))
    assert [(e.inputs["text"], e.target) for e in dataset.examples] == [
        (row["text"], row["label"]) for row in reviews()
    ]
    assert dataset.kind == "text"
    assert dataset.labels == ("negative", "positive")
    assert dataset.examples[0].name == "row 1"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_found_in_the_header(tmp_path: Path, delimiter: str):
    dataset = opened(tmp_path, ROWS.replace(",", delimiter))
    assert texts(dataset) == ["a fine film", "a dull film"]


def test_quotes_hold_delimiters_line_ends_and_quotes(tmp_path: Path):
    dataset = opened(tmp_path, 'text,label\n"one, two\nthree ""four""",good\r\n"5"" screen",bad\n')
    assert texts(dataset) == ['one, two\nthree "four"', '5" screen']


def test_loose_quotes_are_text(tmp_path: Path):
    dataset = opened(tmp_path, 'text,label\n5" screen,good\n"so" said he,bad\n')
    assert len(dataset.examples) == 2


def test_a_lone_quote_in_a_tsv_swallows_no_lines(tmp_path: Path):
    dataset = opened(tmp_path, 'text\tlabel\n"oh my\tgood\nfine\tgood\nno" way\tbad\n', "data.tsv")
    assert texts(dataset) == ['"oh my', "fine", 'no" way']


def test_a_quoted_tsv_is_unquoted(tmp_path: Path):
    assert texts(opened(tmp_path, 'text\tlabel\n"a ""b"""\tgood\nc\tbad\n', "data.tsv")) == ['a "b"', "c"]


def test_a_byte_order_mark_and_windows_line_ends_are_no_text(tmp_path: Path):
    dataset = opened(tmp_path, b"\xef\xbb\xbf" + ROWS.replace("\n", "\r\n").encode())
    assert texts(dataset) == ["a fine film", "a dull film"]


def test_whole_documents_fit_in_a_cell(tmp_path: Path):
    long = "word " * 60_000
    assert texts(opened(tmp_path, f"text,label\n{long},good\nshort,bad\n"))[0] == long


def test_old_line_ends_and_a_long_first_line(tmp_path: Path):
    assert texts(opened(tmp_path, ROWS.replace("\n", "\r"))) == ["a fine film", "a dull film"]
    with pytest.raises(TableError, match="no column `text`"):
        opened(tmp_path, "x" * 300_000)


def test_upper_case_endings_spaces_and_other_alphabets_in_names(tmp_path: Path):
    folder = tmp_path / "Ærlig talt – обзоры 評論"
    folder.mkdir()
    assert len(opened(folder, ROWS, "mine og dine.CSV").examples) == 2


def test_other_column_names(tmp_path: Path):
    dataset = opened(
        tmp_path,
        "id,review,stars,who,part\n1,fine,5,ann,train\n2,dull,1,bob,train\n3,nice,5,cat,val\n4,grim,1,dan,test\n",
        text_column="review",
        label_column="stars",
        group_column="who",
        split_column="part",
    )
    assert [e.split for e in dataset.examples] == ["train", "train", "validation", "test"]
    assert [e.group for e in dataset.examples] == ["ann", "bob", "cat", "dan"]
    assert dataset.labels == ("1", "5")


def test_jsonl_labels_may_be_numbers_and_booleans(tmp_path: Path):
    lines = '{"text": "a", "label": 1}\n{"text": "b\u2028c", "label": true}\n\n{"text": 5, "label": 0.5}\n'
    dataset = opened(tmp_path, lines, "data.jsonl")
    assert [e.target for e in dataset.examples] == ["1", "true", "0.5"]
    assert texts(dataset) == ["a", "b\u2028c", "5"]


def test_bad_rows_are_named_and_skipped(tmp_path: Path):
    dataset = opened(tmp_path, ROWS + "  ,good\nno label,\nragged\none,two,three\n\n,,\n")
    assert len(dataset.examples) == 2
    assert {item.name: item.error for item in dataset.skipped} == {
        "row 3": "has nothing in column `text`",
        "row 4": "has no label",
        "row 5": "has 1 cells where the header has 2",
        "row 6": "has 3 cells where the header has 2",
        "row 7": "has 3 cells where the header has 2",
    }


def test_bad_json_lines_are_named_and_skipped(tmp_path: Path):
    good = '{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n'
    bad = (
        '{"text": \n[1]\n{"text": "\\ud800", "label": "x"}\n{"text": ["a"], "label": "x"}\n'
        + "[" * 100_000
        + '\n{"text": "c", "label": NaN}\n{"text": "d", "label": {"a": 1}}\n{"label": "x"}\n'
        + '{"text": '
        + "9" * 5000
        + ', "label": "x"}\n'
    )
    dataset = opened(tmp_path, good + bad, "data.jsonl")
    assert len(dataset.examples) == 2
    assert len(dataset.skipped) == 9


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        ("review,label\na,x\nb,y\n", "data.csv", ["no column `text`", "`review`", "--text-column"]),
        ("texts,label\na,x\nb,y\n", "data.csv", ["did you mean `texts`?"]),
        (
            "text,lable\na,x\nb,y\n",
            "data.csv",
            ["no column `label`", "did you mean `lable`?", "--label-column"],
        ),
        ('{"txt": "a", "label": "x"}\n', "data.jsonl", ["no column `text`", "did you mean `txt`?"]),
        (
            "text,label\nfine,x\nd\u00e9j\u00e0,y\n".encode("latin-1"),
            "data.csv",
            ["not UTF-8 in line 3", "iconv"],
        ),
        (ROWS.encode("utf-16"), "data.csv", ["UTF-16", "iconv"]),
        (b"text,label\na,x\nb\0c,y\n", "data.csv", ["NUL byte in line 3"]),
        (b"PK\x03\x04\0\0", "data.csv", ["spreadsheet"]),
        (b"", "data.csv", ["is empty"]),
        (b"\xef\xbb\xbf\n \n", "data.csv", ["is empty"]),
        (b"", "data.jsonl", ["no JSON object"]),
        ("text,label\n", "data.csv", ["no usable example"]),
        ("text,label\na,x\nb,x\n", "data.csv", ["one class, `x`", "two classes"]),
        ("text,label\n,x\n,y\n", "data.csv", ["no usable example", "`row 1` has nothing in column `text`"]),
        ("text,text,label\na,b,x\n", "data.csv", ["`text` twice"]),
        ('text,label\na,x\n"b,y\nc,x\n', "data.csv", ["quote in line 3"]),
        (
            "text,label,split\na,x,train\nb,y,holdout\n",
            "data.csv",
            ["split `holdout` in row 2", "validation"],
        ),
        ('[{"text": "a"}]', "data.jsonl", ["JSON array", "jq"]),
        ("not json", "data.jsonl", ["no JSON object", "row 1 is not JSON"]),
        ('{"text": "a"}', "data.json", ["jq"]),
        (b"PAR1", "data.parquet", ["truncated"]),
        (b"PK", "data.zip", ["unpack"]),
        (b"", "data", ["no data that can be read"]),
        (b"x", "cat.jpg", ["single file"]),
    ],
)
def test_bad_tables_are_told_what_is_wrong(tmp_path: Path, content: str | bytes, name: str, words: list[str]):
    with pytest.raises(DataError) as caught:
        opened(tmp_path, content, name)
    for word in [*words, name]:
        assert word in str(caught.value)


def test_a_huge_cell_is_refused(tmp_path: Path):
    with pytest.raises(TableError, match="field larger"):
        opened(tmp_path, "text,label\n" + "x" * (17 << 20) + ",good\n")


def test_a_missing_path_names_the_nearest(tmp_path: Path):
    write_reviews(tmp_path / "reviews.csv")
    with pytest.raises(DataError, match=r"did you mean .*reviews\.csv"):
        open_dataset(tmp_path / "review.csv")
    with pytest.raises(DataError, match="does not exist"):
        open_dataset(tmp_path / "no" / "such\0name")
    with pytest.raises(DataError, match="does not exist"):
        open_dataset("x" * 5000)


@pytest.mark.parametrize(("names", "splits"), [
    (("train.csv", "val.tsv", "test.jsonl"), {"train": 24, "validation": 6, "test": 9}),
    (("Train.csv", "dev.csv", "TEST.csv"), {"train": 24, "validation": 6, "test": 9}),
])  # fmt: skip
def test_a_folder_with_a_table_a_split(tmp_path: Path, names: tuple[str, ...], splits: dict[str, int]):
    for seed, (name, rows) in enumerate(zip(names, (24, 6, 9), strict=True)):
        write_reviews(tmp_path / name.replace("TEST", "test"), rows, seed=seed)
    (tmp_path / "README.md").write_text("about")
    dataset = open_dataset(tmp_path)
    assert {split: len(dataset.split(split)) for split in splits} == splits
    assert dataset.examples[0].name == f"{names[0]} row 1"
    assert dataset.notes == ()


def test_two_tables_for_one_split_are_refused(tmp_path: Path):
    write_reviews(tmp_path / "train.csv")
    write_reviews(tmp_path / "train.jsonl")
    with pytest.raises(DataError, match=r"`train\.csv`, `train\.jsonl`"):
        open_dataset(tmp_path)


def test_a_folder_with_one_table_points_to_it(tmp_path: Path):
    write_reviews(tmp_path / "reviews.csv")
    with pytest.raises(DataError, match=r"did you mean the table .*reviews\.csv"):
        open_dataset(tmp_path)


def test_a_folder_above_the_tables_points_to_it(tmp_path: Path):
    write_reviews(tmp_path / "imdb" / "train.csv")
    write_reviews(tmp_path / "imdb" / "test.csv")
    with pytest.raises(DataError, match="did you mean .*imdb"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("column", ["file_name", "image", "path"])
def test_a_table_may_list_pictures(tmp_path: Path, column: str):
    write_photos(tmp_path / "mine" / "my photos")
    files = sorted((tmp_path / "mine").rglob("*.png"))
    rows = [{column: f.relative_to(tmp_path).as_posix(), "label": f.parent.name} for f in files]
    rows[1][column] = rows[1][column].replace("/", "\\")
    rows += [{column: "mine/lost.png", "label": "colour0"}, rows[0], {column: "", "label": "colour1"}]
    dataset = open_dataset(write_table(tmp_path / "list.csv", rows))
    assert dataset.kind == "image"
    assert len(dataset.examples) == 12
    assert dataset.examples[0].name == "mine/my photos/colour0/photo0.png"
    assert [item.error for item in dataset.skipped] == [
        "does not exist",
        "is listed twice",
        f"has nothing in column `{column}`",
    ]


def test_a_table_may_list_recordings(tmp_path: Path):
    write_sounds(tmp_path)
    rows = [{"path": f, "label": f.parent.name} for f in sorted(tmp_path.rglob("*.wav"))]
    dataset = open_dataset(write_table(tmp_path / "list.csv", rows))
    assert dataset.kind == "audio"


def test_texts_or_pictures_as_asked(tmp_path: Path):
    write_photos(tmp_path)
    rows = [
        {"file_name": f.relative_to(tmp_path).as_posix(), "text": f"caption {n}", "label": f.parent.name}
        for n, f in enumerate(sorted(tmp_path.rglob("*.png")))
    ]
    path = write_table(tmp_path / "captions.jsonl", rows)
    assert open_dataset(path).kind == "text"
    assert open_dataset(path, kind="text").kind == "text"
    assert open_dataset(path, kind="image").kind == "image"
    with pytest.raises(DataError, match="names no audio files"):
        open_dataset(path, kind="audio")


def test_a_list_of_neither_pictures_nor_recordings(tmp_path: Path):
    with pytest.raises(TableError, match="names no media files"):
        opened(tmp_path, "path,label\na.doc,x\nb.doc,y\n")


def test_unreadable_files_are_an_error_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write_reviews(tmp_path / "reviews.csv")

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(TableError, match="Permission denied"):
        open_dataset(path)


PIECES = st.sampled_from(["text", "label", "split", *',;\t\n\r"{}:[\\\x00éa1'])


@given(
    st.lists(PIECES, max_size=40).map("".join) | st.binary(max_size=200),
    st.sampled_from(["csv", "tsv", "jsonl"]),
)
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_dataset_or_one_documented_error(content: str | bytes, ending: str):
    data = content.encode() if isinstance(content, str) else content
    header = b"" if ending == "jsonl" else b"text,label\n".replace(b",", b"\t" if ending == "tsv" else b",")
    with TemporaryDirectory() as folder, suppress(DataError):
        path = Path(folder) / f"data.{ending}"
        path.write_bytes(header * (len(data) % 2) + data)
        assert len(open_dataset(path).labels) > 1


@pytest.mark.parametrize("role", ["text_column", "text_pair_column", "group_column"])
def test_one_column_is_not_read_as_two_things(tmp_path: Path, role: str) -> None:
    path = write_table(tmp_path / "a.csv", [row | {"kind": row["label"]} for row in reviews(24)])
    with pytest.raises(TableError, match="`kind` of .* is used for"):
        open_dataset(path, **{role: "kind", "label_column": "kind"})


def test_a_label_may_be_called_group(tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.csv", [{"text": row["text"], "group": row["label"]} for row in reviews(24)])
    dataset = open_dataset(path, label_column="group")
    assert dataset.split("test")
    assert not any(example.group for example in dataset.examples)


def test_a_title_above_the_table_is_told_from_a_misspelt_column(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("My reviews\na,good\nb,bad\n")
    with pytest.raises(TableError) as caught:
        open_dataset(path)
    assert "first line" in caught.value.hint


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"text": str(n), "label": n % 2} for n in range(12)], "are numbers"),
        ([{"text": "the same", "label": n % 2} for n in range(12)], "the same content"),
        ([{"text": f"is {n % 2}", "label": f"a long text {n}"} for n in range(12)], "seem to be swapped"),
    ],
)
def test_inputs_that_cannot_be_meant(tmp_path: Path, rows: list[dict[str, object]], words: str) -> None:
    with pytest.raises(DataError, match=words):
        open_dataset(write_table(tmp_path / "a.csv", rows))


def test_a_group_column_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no column `speakr`") as caught:
        opened(tmp_path, "text,label,speaker\na,x,1\nb,y,2\n", group_column="speakr")
    assert caught.value.hint == "name the column with --group-column: did you mean `speaker`?"
