"""The folder a run writes: whose it is, what a failure leaves, and what may go on with it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from headstart.errors import DataError, NoSpace, UsageError
from headstart.events import Event
from headstart.model import SETTINGS
from headstart.training.output import RECIPE, UNFINISHED, OutputFolder
from headstart.training.recipe import Recipe


def folder_for(path: Path | None, *, data: str = "data", resume: bool = False, **settings: object) -> OutputFolder:
    return OutputFolder(path, data, Recipe(**settings), resume=resume)


def write_half(folder: OutputFolder, error: type[BaseException]) -> None:
    with folder:
        folder.model.mkdir()
        (folder.model / "model.safetensors").write_bytes(b"half")
        raise error("no")


def fail(folder: OutputFolder, error: type[BaseException]) -> None:
    with pytest.raises(error):
        write_half(folder, error)


def finish(folder: OutputFolder) -> Path:
    with folder:
        folder.model.mkdir()
        for name in ("model.safetensors", "config.json", SETTINGS):
            (folder.model / name).write_text(name)
        return folder.publish()


@contextmanager
def interrupted(folder: OutputFolder) -> Iterator[OutputFolder]:
    with suppress(KeyboardInterrupt), folder:
        yield folder
        raise KeyboardInterrupt


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
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [RECIPE, UNFINISHED]
    with pytest.raises(UsageError, match="unfinished"), folder_for(tmp_path / "run"):
        pass
    finish(folder_for(tmp_path / "run", resume=True))
    assert (tmp_path / "run" / SETTINGS).is_file()


def test_a_run_whose_disk_fills_up_after_training_stays(tmp_path: Path) -> None:
    fail(folder_for(tmp_path / "run"), NoSpace)
    assert (tmp_path / "run" / UNFINISHED / "model").is_dir()


def test_a_resumed_run_that_fails_keeps_what_was_there(tmp_path: Path) -> None:
    fail(folder_for(tmp_path / "run"), KeyboardInterrupt)
    fail(folder_for(tmp_path / "run", resume=True), DataError)
    assert (tmp_path / "run" / RECIPE).is_file()


@pytest.mark.parametrize("change", [{"data": "other"}, {"epochs": 3}])
def test_only_the_same_recipe_on_the_same_data_goes_on(tmp_path: Path, change: dict) -> None:
    fail(folder_for(tmp_path / "run"), KeyboardInterrupt)
    with pytest.raises(UsageError, match="another recipe or of other data"):
        folder_for(tmp_path / "run", resume=True, **change).__enter__()
    assert (tmp_path / "run" / UNFINISHED / "model" / "model.safetensors").is_file()


def test_two_runs_never_write_one_folder(tmp_path: Path) -> None:
    with folder_for(tmp_path / "run"), pytest.raises(UsageError, match="another run is writing"):
        folder_for(tmp_path / "run", resume=True).__enter__()


def test_a_finished_run_is_never_overwritten(tmp_path: Path) -> None:
    finish(folder_for(tmp_path / "run"))
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(UsageError, match="exists"):
        folder_for(tmp_path / "run").__enter__()
    with pytest.raises(UsageError, match="of another recipe"):
        folder_for(tmp_path / "run", resume=True, epochs=3).__enter__()
    with folder_for(tmp_path / "run", resume=True) as folder:
        assert folder.finished
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


@pytest.mark.parametrize("moved", [[], ["model.safetensors"], ["model.safetensors", "config.json"]])
def test_a_kill_while_the_files_are_moved_up_is_made_good(tmp_path: Path, moved: list[str]) -> None:
    run = tmp_path / "run"
    fail(folder_for(run), KeyboardInterrupt)
    complete = run / UNFINISHED / "complete"
    shutil.rmtree(run / UNFINISHED / "model")
    complete.mkdir()
    for name in ("model.safetensors", "config.json", SETTINGS):
        ((run if name in moved else complete) / name).write_text(name)
    with folder_for(run, resume=True) as folder:
        assert folder.finished
    assert sorted(path.name for path in run.iterdir()) == ["config.json", SETTINGS, "model.safetensors", RECIPE]


def test_what_a_run_that_was_killed_at_once_has_left_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / f".{RECIPE}.1.tmp").write_text("ha")
    finish(folder_for(tmp_path / "run"))
    assert not list((tmp_path / "run").glob(".*"))


def test_without_a_folder_the_newest_unfinished_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    finish(folder_for(None))
    fail(folder_for(None), KeyboardInterrupt)
    fail(folder_for(None, epochs=3), KeyboardInterrupt)
    names = [folder_for(None, resume=resume).path.name for resume in (False, True)]
    assert names == ["data-4", "data-2"]


def test_a_recipe_is_still_read_from_the_mark(tmp_path: Path) -> None:
    with folder_for(tmp_path / "run", epochs=7) as folder:
        assert Recipe.from_toml(folder.path / RECIPE) == Recipe(epochs=7)


def test_decisions_are_replayed(tmp_path: Path) -> None:
    with interrupted(folder_for(tmp_path / "run")) as folder:
        assert folder.decide("device", lambda: "cuda") == "cuda"
    with folder_for(tmp_path / "run", resume=True) as folder:
        assert folder.decide("device", lambda: pytest.fail("decided twice")) == "cuda"


def test_going_on_under_other_conditions_is_said(tmp_path: Path) -> None:
    heard: list[Event] = []
    with interrupted(folder_for(tmp_path / "run")) as folder:
        folder.compare({"threads": 1, "torch": "2"})
    folder = OutputFolder(tmp_path / "run", "data", Recipe(), resume=True, listener=heard.append)
    with folder:
        folder.compare({"threads": 2, "torch": "2"})
    assert [event.text.split(":")[0] for event in heard][1:] == [
        "the run was begun with threads 1 and goes on with 2",
    ]


def test_where_a_run_went_on_is_known(tmp_path: Path) -> None:
    with interrupted(folder_for(tmp_path / "run")) as folder:
        assert folder.resumed_from is None
    with interrupted(folder_for(tmp_path / "run", resume=True)) as folder:
        assert folder.resumed_from == {"stage": "prepare", "part": None, "epoch": None}
        folder.decide("device", lambda: "cpu")
    with folder_for(tmp_path / "run", resume=True) as folder:
        assert folder.resumed_from == {"stage": "frozen_pass", "part": None, "epoch": None}
