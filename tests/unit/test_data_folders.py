"""Folders of pictures and recordings: every layout, and every way to give the wrong one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from headstart.data.dataset import open_dataset
from headstart.errors import DataError, TableError
from samples import write_photos, write_reviews, write_sounds, write_table


@pytest.mark.parametrize(("write", "kind"), [(write_photos, "image"), (write_sounds, "audio")])
def test_a_folder_a_class(tmp_path: Path, write, kind: str):
    root = write(tmp_path / "mine", classes=3)
    dataset = open_dataset(root)
    assert dataset.kind == kind
    assert len(dataset.labels) == 3
    assert {e.target for e in dataset.examples} == set(dataset.labels)
    assert [e.name for e in dataset.examples] == sorted(e.name for e in dataset.examples)
    assert all(e.name == e.inputs[kind].relative_to(root).as_posix() for e in dataset.examples)
    assert all(e.target == e.inputs[kind].parent.name for e in dataset.examples)
    assert dataset.notes == ()


@pytest.mark.parametrize("validation", ["validation", "valid", "Val", "dev"])
def test_a_folder_a_split(tmp_path: Path, validation: str):
    for seed, split in enumerate(("train", validation, "test")):
        write_photos(tmp_path / split, per_class=2 + seed, seed=seed)
    dataset = open_dataset(tmp_path)
    assert {split: sum(n.values()) for split, n in dataset.counts().items()} == {
        "train": 4,
        "validation": 6,
        "test": 8,
    }
    assert dataset.labels == ("colour0", "colour1")


def test_classes_may_be_called_like_splits(tmp_path: Path):
    write_photos(tmp_path, classes=3)
    (tmp_path / "colour0").rename(tmp_path / "train")
    assert open_dataset(tmp_path).labels == ("colour1", "colour2", "train")
    (tmp_path / "train" / "steam").mkdir()
    for path in list((tmp_path / "train").glob("*.png")):
        path.rename(tmp_path / "train" / "steam" / path.name)
    assert open_dataset(tmp_path).labels == ("colour1", "colour2", "train")


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize("write", [write_photos, write_sounds])
def test_metadata_in_the_root(tmp_path: Path, ending: str, write):
    write(tmp_path)
    files = sorted(p for p in tmp_path.rglob("*.*"))
    rows = [
        {"file_name": f.relative_to(tmp_path).as_posix(), "label": f"class {n % 3}", "group": f"g{n // 3}"}
        for n, f in enumerate(files[:-2])
    ]
    dataset = open_dataset(write_table(tmp_path / f"metadata.{ending}", rows).parent)
    assert dataset.labels == ("class 0", "class 1", "class 2")
    assert {e.group for e in dataset.examples} == {"g0", "g1", "g2", "g3"}
    assert f"`metadata.{ending}` leaves out 2" in dataset.notes[0]


def test_metadata_in_each_split(tmp_path: Path):
    for seed, split in enumerate(("train", "test")):
        folder = tmp_path / split
        write_photos(folder / "all", seed=seed)
        files = sorted(folder.rglob("*.png"))
        rows = [{"file_name": f.relative_to(folder).as_posix(), "label": f.parent.name} for f in files]
        write_table(folder / "metadata.csv", rows)
    dataset = open_dataset(tmp_path)
    assert dataset.split("train")[0].name == "train/all/colour0/photo0.png"
    assert len(dataset.split("test")) == 12
    assert len(dataset.split("validation")) == 2


def test_metadata_in_the_root_that_names_files_in_folders_of_splits(tmp_path: Path):
    for seed, split in enumerate(("train", "test")):
        write_photos(tmp_path / split, per_class=3, seed=seed)
    rows = [
        {"file_name": f.relative_to(tmp_path).as_posix(), "label": f.parent.name}
        for f in sorted(tmp_path.rglob("*.png"))
    ]
    dataset = open_dataset(write_table(tmp_path / "metadata.csv", rows).parent)
    assert len(dataset.split("test")) == 6
    assert {e.name.split("/")[0] for e in dataset.split("test")} == {"test"}


def test_metadata_without_a_label_column(tmp_path: Path):
    write_photos(tmp_path)
    write_table(tmp_path / "metadata.csv", [{"file_name": "colour0/photo0.png", "colour": "red"}])
    with pytest.raises(TableError, match="no column `label`"):
        open_dataset(tmp_path)
    rows = [{"file_name": f"colour{n}/photo{n}.png", "colour": ["red", "blue"][n]} for n in range(2)]
    write_table(tmp_path / "metadata.csv", rows)
    assert open_dataset(tmp_path, label_column="colour").labels == ("blue", "red")


def test_a_table_a_split_that_lists_pictures(tmp_path: Path):
    write_photos(tmp_path / "images")
    files = [f.relative_to(tmp_path).as_posix() for f in sorted(tmp_path.rglob("*.png"))]
    rows = [{"image": name, "label": name.split("/")[1]} for name in files]
    write_table(tmp_path / "train.csv", rows[::2])
    write_table(tmp_path / "test.csv", rows[1::2] + rows[:1])
    dataset = open_dataset(tmp_path)
    assert dataset.kind == "image"
    assert [e.name for e in dataset.split("test")] == files[1::2]
    assert [(item.name, item.error) for item in dataset.skipped] == [(files[0], "is listed twice")]


def test_hidden_and_system_files_are_no_examples(tmp_path: Path):
    write_photos(tmp_path)
    for name in (".DS_Store", "Thumbs.db", "._photo0.png", "desktop.ini"):
        (tmp_path / "colour0" / name).write_bytes(b"x")
    shutil.copytree(tmp_path / "colour0", tmp_path / "__MACOSX" / "colour0")
    shutil.copytree(tmp_path / "colour0", tmp_path / ".cache" / "colour0")
    dataset = open_dataset(tmp_path)
    assert len(dataset.examples) == 12
    assert dataset.notes == ()


def test_many_other_files_are_counted(tmp_path: Path):
    write_photos(tmp_path)
    for number in range(5):
        (tmp_path / "colour0" / f"{number}.HEIC").write_bytes(b"x")
    (note,) = open_dataset(tmp_path).notes
    assert "5 files were ignored (5 .heic)" in note


def test_deeper_folders_belong_to_the_outer_class(tmp_path: Path):
    write_photos(tmp_path)
    (tmp_path / "colour0" / "2021").mkdir()
    (tmp_path / "colour0" / "photo0.png").rename(tmp_path / "colour0" / "2021" / "photo0.png")
    dataset = open_dataset(tmp_path)
    assert dataset.examples[0].name == "colour0/2021/photo0.png"
    assert dataset.examples[0].target == "colour0"
    assert "outer folder is their class" in dataset.notes[0]


def test_pictures_outside_the_class_folders_are_skipped(tmp_path: Path):
    write_photos(tmp_path)
    shutil.copy(tmp_path / "colour0" / "photo0.png", tmp_path / "cover.png")
    dataset = open_dataset(tmp_path)
    assert [(s.name, s.error) for s in dataset.skipped] == [("cover.png", "lies outside the folders of the classes")]
    assert len(dataset.examples) == 12


def test_links_to_a_parent_end(tmp_path: Path):
    write_photos(tmp_path)
    (tmp_path / "colour0" / "again").symlink_to(tmp_path / "colour0", target_is_directory=True)
    (tmp_path / "colour1" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "colour1" / "broken.png").symlink_to(tmp_path / "nothing")
    assert open_dataset(tmp_path).labels == ("colour0", "colour1")


def test_names_in_any_alphabet(tmp_path: Path):
    root = write_photos(tmp_path / "mine bilder – фото")
    (root / "colour0").rename(root / "größe nul")
    (root / "colour1").rename(root / "e\u0301clair 猫")
    dataset = open_dataset(root)
    assert dataset.labels == ("größe nul", "\u00e9clair 猫")
    assert all(e.inputs["image"].is_file() for e in dataset.examples)


def test_names_that_are_not_utf8_stay_printable(tmp_path: Path):
    write_photos(tmp_path)
    try:
        (tmp_path / "colour0").rename(tmp_path / os.fsdecode(b"col\xff"))
    except OSError:
        pytest.skip("this file system refuses such names")
    dataset = open_dataset(tmp_path)
    assert dataset.labels == ("col\\xff", "colour1")
    assert dataset.fingerprint.encode()


def test_empty_files_are_skipped(tmp_path: Path):
    write_photos(tmp_path)
    (tmp_path / "colour0" / "photo0.png").write_bytes(b"")
    dataset = open_dataset(tmp_path)
    assert [(s.name, s.error) for s in dataset.skipped] == [("colour0/photo0.png", "is empty")]


def test_the_majority_kind_is_read(tmp_path: Path):
    write_photos(tmp_path)
    write_sounds(tmp_path / "colour0", classes=1, per_class=1)
    assert open_dataset(tmp_path).kind == "image"
    write_sounds(tmp_path, per_class=8)
    assert open_dataset(tmp_path).kind == "audio"
    assert open_dataset(tmp_path, kind="image").kind == "image"


def test_as_many_pictures_as_recordings_must_be_told_apart(tmp_path: Path):
    write_photos(tmp_path)
    write_sounds(tmp_path)
    with pytest.raises(DataError, match="--task"):
        open_dataset(tmp_path)
    assert open_dataset(tmp_path, kind="audio").labels == ("pitch0", "pitch1")


def test_a_kind_that_is_not_there(tmp_path: Path):
    with pytest.raises(DataError, match="no audio data"):
        open_dataset(write_photos(tmp_path), kind="audio")
    with pytest.raises(DataError, match="no video data"):
        open_dataset(tmp_path, kind="video")


def test_the_folder_of_the_classes_is_found_some_levels_down(tmp_path: Path):
    write_photos(tmp_path / "a" / "b" / "photos")
    with pytest.raises(DataError, match="has one class, `a`") as caught:
        open_dataset(tmp_path)
    assert str(tmp_path / "a" / "b" / "photos") in caught.value.hint


def test_a_column_means_nothing_where_folders_are_the_classes(tmp_path: Path):
    assert any("no column `kind`" in note for note in open_dataset(write_photos(tmp_path), label_column="kind").notes)


def test_an_empty_folder(tmp_path: Path):
    with pytest.raises(DataError, match="there is no file in the folder"):
        open_dataset(tmp_path)
    (tmp_path / "cat").mkdir()
    (tmp_path / ".hidden.png").write_bytes(b"x")
    with pytest.raises(DataError, match="there is no file in the folder"):
        open_dataset(tmp_path)


def test_a_folder_with_nothing_that_is_read(tmp_path: Path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.heic").write_bytes(b"x")
    with pytest.raises(DataError, match=r"only files with \.heic"):
        open_dataset(tmp_path)


def test_one_class(tmp_path: Path):
    with pytest.raises(DataError, match="one class, `colour0`"):
        open_dataset(write_photos(tmp_path, classes=1))


def test_no_class_folders(tmp_path: Path):
    root = write_photos(tmp_path / "mine")
    shutil.copytree(root / "colour0", tmp_path / "flat")
    with pytest.raises(DataError, match="no folders of classes") as caught:
        open_dataset(tmp_path / "flat")
    assert "`flat/<class>/1.jpg`" in caught.value.hint


def test_one_folder_too_low(tmp_path: Path):
    root = write_photos(tmp_path / "mine")
    with pytest.raises(DataError) as caught:
        open_dataset(root / "colour0")
    assert f"give the folder above it, `{root}`" in caught.value.hint


def test_one_folder_too_high(tmp_path: Path):
    root = write_photos(tmp_path / "mine")
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    assert caught.value.hint == f"did you mean `{root}`? It has `colour0`, `colour1`"


def test_splits_without_classes(tmp_path: Path):
    write_photos(tmp_path)
    (tmp_path / "colour0").rename(tmp_path / "train")
    (tmp_path / "colour1").rename(tmp_path / "test")
    with pytest.raises(DataError, match="folders of splits, but no folders of classes"):
        open_dataset(tmp_path)


def test_splits_without_train(tmp_path: Path):
    write_photos(tmp_path / "validation")
    write_photos(tmp_path / "test")
    with pytest.raises(DataError, match="no training examples"):
        open_dataset(tmp_path)


def test_a_table_of_texts_beside_pictures_does_not_hide_them(tmp_path: Path):
    write_photos(tmp_path)
    write_reviews(tmp_path / "notes.csv")
    assert open_dataset(tmp_path).kind == "image"


def test_unlabelled_held_out_pictures_are_refused(tmp_path: Path):
    write_photos(tmp_path / "train")
    shutil.copytree(tmp_path / "train" / "colour0", tmp_path / "test")
    with pytest.raises(DataError, match="test` holds 6 pictures, but no folders of classes") as caught:
        open_dataset(tmp_path)
    assert "/test/<class>/1.jpg`" in caught.value.hint


def test_pictures_beside_the_splits_are_counted(tmp_path: Path):
    for name in ("train", "test", "more"):
        write_photos(tmp_path / name, seed=len(name))
    dataset = open_dataset(tmp_path)
    assert dataset.labels == ("colour0", "colour1")
    assert dataset.notes[0] == "12 pictures lie outside the folders of the splits and were left out."


def test_folders_that_may_not_be_listed_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_photos(tmp_path, classes=3)
    listing = Path.iterdir

    def refuse(self: Path):
        if self.name == "colour2":
            raise PermissionError(13, "Permission denied")
        return listing(self)

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert open_dataset(tmp_path).labels == ("colour0", "colour1")
