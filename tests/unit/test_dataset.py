"""The dataset itself, its fingerprint, and the inputs of a prediction."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from headstart.data.dataset import content_hash, open_dataset, open_inputs
from headstart.errors import DataError, UnreadableFile
from headstart.types import Example, Skipped
from samples import reviews, write_photos, write_reviews, write_sounds, write_table


def test_a_fingerprint_covers_names_contents_targets_and_splits(tmp_path: Path):
    dataset = open_dataset(write_reviews(tmp_path / "a.csv"))
    assert dataset.fingerprint == open_dataset(write_reviews(tmp_path / "b.tsv")).fingerprint
    assert replace(dataset, hashes={}).fingerprint == dataset.fingerprint
    first, *others = dataset.examples
    for changed in (
        replace(first, name="row 0"),
        replace(first, inputs={"text": "other"}),
        replace(first, target="other"),
        replace(first, split="test" if first.split != "test" else "train"),
    ):
        other = replace(dataset, examples=(changed, *others), hashes={})
        assert other.fingerprint != dataset.fingerprint


def test_a_content_hash_covers_the_inputs_alone(tmp_path: Path):
    file = tmp_path / "a.png"
    file.write_bytes(b"some bytes" * 300_000)
    copy = tmp_path / "b.png"
    copy.write_bytes(file.read_bytes())
    first = Example("a", {"image": file}, "x", "train", "g")
    assert content_hash(first) == content_hash(Example("b", {"image": copy}, "y"))
    assert content_hash(first) != content_hash(Example("a", {"audio": file}, "x"))
    copy.write_bytes(file.read_bytes()[:-1] + b"!")
    assert content_hash(first) != content_hash(Example("b", {"image": copy}, "y"))
    with pytest.raises(UnreadableFile, match="cannot be read"):
        content_hash(Example("c", {"image": tmp_path / "c.png"}))


def test_pairs_of_texts_do_not_run_together():
    pairs = [("ab", "c"), ("a", "bc"), ("abc", ""), ("", "abc")]
    hashes = {content_hash(Example("", {"text": a, "text_pair": b})) for a, b in pairs}
    assert len(hashes) == 4


def test_a_dataset_without_some_examples_keeps_its_splits(tmp_path: Path):
    dataset = open_dataset(write_reviews(tmp_path / "a.csv"))
    gone = {dataset.examples[0].name, "unknown"}
    smaller = dataset.without(gone)
    assert smaller.examples == dataset.examples[1:]
    assert smaller.fingerprint != dataset.fingerprint
    with pytest.raises(DataError, match="one class"):
        dataset.without([e.name for e in dataset.examples if e.target == "positive"])
    with pytest.raises(DataError, match="no usable example"):
        dataset.without([e.name for e in dataset.examples])


def test_equal_contents_with_different_labels_are_told(tmp_path: Path):
    rows = [*reviews(20), {"text": reviews(1)[0]["text"], "label": "negative"}]
    dataset = open_dataset(write_table(tmp_path / "a.csv", rows))
    assert "as in `row 1`, `row 21`" in dataset.notes[0]


def test_labels_that_differ_in_case_or_spaces_are_told(tmp_path: Path):
    rows = [{"text": f"text {n}", "label": label} for n, label in enumerate(["Cat", " cat", "big  Dog ", "bigdog"] * 5)]
    dataset = open_dataset(write_table(tmp_path / "a.csv", rows))
    assert dataset.labels == ("Cat", "big  Dog", "bigdog", "cat")
    assert [note.partition(":")[0] for note in dataset.notes] == [
        "The classes `Cat` and `cat` differ only in case or spaces",
        "The classes `big  Dog` and `bigdog` differ only in case or spaces",
    ]  # fmt: skip


def test_a_label_column_that_holds_texts_is_told(tmp_path: Path):
    rows = [{"text": f"text {n}", "label": f"text {n}"} for n in range(30)]
    dataset = open_dataset(write_table(tmp_path / "a.csv", rows))
    assert "is it the right label column?" in dataset.notes[0]


def test_opening_data_loads_no_decoder(tmp_path: Path):
    write_photos(tmp_path)
    code = (
        "import sys\nfrom headstart.data.dataset import open_dataset\nopen_dataset(sys.argv[1])\n"
        "print(*{'PIL', 'soundfile', 'soxr', 'torch', 'transformers', 'sklearn'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_texts_to_predict(tmp_path: Path):
    (tmp_path / "one.txt").write_text("first line\nsecond line\n", encoding="utf-8")
    (tmp_path / "sub").mkdir()
    write_table(tmp_path / "sub" / "many.csv", [{"text": "a"}, {"text": " "}, {"text": "b"}])
    (tmp_path / "sub" / "bad.txt").write_bytes(b"\xff\xfe\xfd")
    (tmp_path / "sub" / "empty.txt").write_text(" ")
    (tmp_path / "sub" / "nul.txt").write_bytes(b"a\0b")
    (tmp_path / "sub" / "photo.png").write_bytes(b"x")
    assert open_inputs([tmp_path / "one.txt", str(tmp_path / "sub")], "text") == [
        Example(f"{tmp_path}/one.txt", {"text": "first line\nsecond line\n"}),
        Skipped(f"{tmp_path}/sub/bad.txt", "is not a text in UTF-8"),
        Skipped(f"{tmp_path}/sub/empty.txt", "is empty"),
        Example(f"{tmp_path}/sub/many.csv row 1", {"text": "a"}),
        Skipped(f"{tmp_path}/sub/many.csv row 2", "has nothing in column `text`"),
        Example(f"{tmp_path}/sub/many.csv row 3", {"text": "b"}),
        Skipped(f"{tmp_path}/sub/nul.txt", "holds NUL bytes: it is not a text"),
    ]
    with pytest.raises(DataError, match="no column `review`"):
        open_inputs([tmp_path / "sub" / "many.csv"], "text", text_column="review")


@pytest.mark.parametrize(("write", "kind"), [(write_photos, "image"), (write_sounds, "audio")])
def test_media_to_predict(tmp_path: Path, write, kind: str):
    root = write(tmp_path / "mine", per_class=1)
    files = sorted(path for path in root.rglob("*.*"))
    names = [path.relative_to(root).as_posix() for path in files]
    (root / "list.txt").write_text("\n".join([*names, "", "lost.png"]))
    write_table(root / "list.csv", [{"file_name": name} for name in [*names, "lost.png"]])
    found = [Example(str(path), {kind: path}) for path in files]
    assert open_inputs([root], kind) == found
    assert open_inputs(files[::-1], kind) == found[::-1]
    assert open_inputs([root / "list.txt"], kind) == [
        *found,
        Example(f"{root}/lost.png", {kind: root / "lost.png"}),
    ]
    assert open_inputs([root / "list.csv"], kind) == [*found, Skipped(f"{root}/lost.png", "does not exist")]


def test_inputs_that_are_not_there(tmp_path: Path):
    with pytest.raises(DataError, match=r"photo\.png` does not exist"):
        open_inputs([tmp_path / "photo.png"], "image")
    with pytest.raises(DataError, match="holds no image files"):
        open_inputs([tmp_path], "image")


def test_a_bad_table_in_a_folder_costs_no_other_file_its_place(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_bytes(b"text\na\0b\n")
    (tmp_path / "good.txt").write_text("fine")
    bad, good = open_inputs([tmp_path], "text")
    assert isinstance(bad, Skipped)
    assert "NUL byte" in bad.error
    assert good.inputs == {"text": "fine"}
