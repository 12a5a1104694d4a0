"""The folder a run writes: whose it is, what a failure leaves, and what may go on with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.errors import DataError, UsageError
from headstart.model import RECORD
from headstart.training.output import RECIPE, OutputFolder
from headstart.training.recipe import Recipe


def folder_for(path: Path, *, data: str = "data", resume: bool = False, **settings: object) -> OutputFolder:
    return OutputFolder(path, data, Recipe(**settings), resume=resume)


def write_half(folder: OutputFolder, error: type[BaseException]) -> None:
    with folder as path:
        (path / "model.safetensors").write_bytes(b"half")
        raise error("no")


def fail(folder: OutputFolder, error: type[BaseException]) -> None:
    with pytest.raises(error):
        write_half(folder, error)


@pytest.mark.parametrize("error", [DataError, RuntimeError])
def test_a_failed_run_takes_away_all_folders_it_made(tmp_path: Path, error: type[Exception]) -> None:
    fail(folder_for(tmp_path / "a" / "b" / "c"), error)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_run_leaves_a_folder_that_was_there(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    fail(folder_for(tmp_path / "mine"), DataError)
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_failed_run_through_a_link_leaves_nothing_behind_it(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "target")
    fail(folder_for(tmp_path / "link"), DataError)
    assert list((tmp_path / "target").iterdir()) == []


def test_an_interrupted_run_stays_and_can_go_on(tmp_path: Path) -> None:
    fail(folder_for(tmp_path / "run"), KeyboardInterrupt)
    assert (tmp_path / "run" / RECIPE).is_file()
    with pytest.raises(UsageError, match="unfinished"), folder_for(tmp_path / "run"):
        pass
    with folder_for(tmp_path / "run", resume=True) as path:
        assert (path / "model.safetensors").is_file()


@pytest.mark.parametrize("change", [{"data": "other"}, {"epochs": 3}])
def test_only_the_same_recipe_on_the_same_data_goes_on(tmp_path: Path, change: dict) -> None:
    fail(folder_for(tmp_path / "run"), KeyboardInterrupt)
    with pytest.raises(UsageError, match="another recipe or of other data"):
        folder_for(tmp_path / "run", resume=True, **change).__enter__()
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_two_runs_never_write_one_folder(tmp_path: Path) -> None:
    with folder_for(tmp_path / "run"), pytest.raises(UsageError, match="another run is writing"):
        folder_for(tmp_path / "run", resume=True).__enter__()


def test_a_finished_run_is_never_overwritten(tmp_path: Path) -> None:
    with folder_for(tmp_path / "run") as path:
        (path / RECORD).write_text("{}")
    with pytest.raises(UsageError, match="exists"):
        folder_for(tmp_path / "run", resume=True).__enter__()


def test_a_recipe_is_still_read_from_the_mark(tmp_path: Path) -> None:
    with folder_for(tmp_path / "run", epochs=7) as path:
        assert Recipe.from_toml(path / RECIPE) == Recipe(epochs=7)
