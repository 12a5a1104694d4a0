"""Files by a table, and classes whose folders have folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data.dataset import open_dataset
from samples import write_photos, write_table


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
@pytest.mark.parametrize("absolute", [False, True], ids=["relative", "absolute"])
def test_a_table_of_files_has_labels_splits_and_groups(tmp_path: Path, absolute: bool, ending: str) -> None:
    photos = sorted(write_photos(tmp_path / "photos").rglob("*.png"))
    rows = [
        {
            "file_name": str(photo if absolute else photo.relative_to(tmp_path)),
            "label": f"by hand {number % 2}",
            "split": "test" if number % 4 == 0 else "train",
            "group": f"camera {number % 3}",
        }
        for number, photo in enumerate(photos)
    ]
    dataset = open_dataset(write_table(tmp_path / f"list.{ending}", rows))
    assert (dataset.kind, dataset.labels) == ("image", ("by hand 0", "by hand 1"))
    assert [example.inputs["image"] for example in dataset.examples] == photos
    assert [example.group for example in dataset.examples] == [row["group"] for row in rows]
    assert [example.name for example in dataset.split("test")] == [row["file_name"] for row in rows[::4]]


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    photos = sorted(write_photos(tmp_path / "photos").rglob("*.png"))
    rows = [{"file_name": str(photo), "label": photo.parent.name} for photo in photos]
    dataset = open_dataset(write_table(tmp_path / "list.csv", [*rows, {"file_name": "/none/1.png", "label": "x"}]))
    assert [(item.name, item.error) for item in dataset.skipped] == [("/none/1.png", "does not exist")]


def test_the_outermost_folder_is_the_class_however_deep_its_folders_go(tmp_path: Path) -> None:
    for seed, label in enumerate(("bird", "coin")):
        write_photos(tmp_path / "photos" / label / "forest", seed=seed)
        write_photos(tmp_path / "photos" / label / "a" / "b" / "c", per_class=2, seed=10 + seed)
    dataset = open_dataset(tmp_path / "photos")
    assert dataset.labels == ("bird", "coin")
    assert len(dataset.examples) == 32
    assert any("the outer folder is their class" in note for note in dataset.notes)


def test_below_folders_of_splits_the_class_is_the_outermost_as_well(tmp_path: Path) -> None:
    for split, seed in (("train", 0), ("test", 1)):
        for label in ("bird", "coin"):
            write_photos(tmp_path / "photos" / split / label / "day", seed=seed + 10 * (label == "coin"))
    dataset = open_dataset(tmp_path / "photos")
    assert dataset.labels == ("bird", "coin")
    assert {example.split for example in dataset.examples} == {"train", "validation", "test"}
