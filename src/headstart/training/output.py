"""The folder a run writes: new, or an unfinished run of the same recipe; emptied again when the run fails.

While it is unfinished, everything but the recipe lies in a folder of its own, so that nothing there loads as a model:

    MODEL_DIR/recipe.toml
    MODEL_DIR/unfinished/journal.jsonl    what was decided by the clock or the disk
    MODEL_DIR/unfinished/checkpoints/     what the training has reached
    MODEL_DIR/unfinished/model/           the model, once it is saved and verified
    MODEL_DIR/unfinished/complete/        the same with its report, card and record: renamed from `model`

The files of `complete` are then moved up one by one, `headstart.toml` last: a folder that has it is a finished run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import xxhash

from headstart.durable import remove_unfinished, saying_what_failed, sync, write_durably
from headstart.errors import MachineError, UsageError
from headstart.events import Listener, Note, ignore
from headstart.journal import Journal
from headstart.model import SETTINGS
from headstart.place import given_path
from headstart.record import RECIPE
from headstart.training.checkpoint import Checkpoints
from headstart.training.recipe import Recipe

UNFINISHED = "unfinished"
RUNS = Path("headstart-runs")


class OutputFolder:
    """A context that gives itself, and the folder `path`, which no other run can have at the same time.

    A run that fails takes everything it made away again, but nothing that was there before; a run that is killed or
    interrupted leaves it, as does one whose disk failed after training, and `resume` goes on with it.

    Attributes:
        path: the folder. finished: the run was finished before; there is nothing to do.
        model: where the model is put together before `publish`. checkpoints: what its training has reached.
        listener: hears what is gone on with.

    Raises:
        UsageError: the folder exists and is not an unfinished run of the same recipe on the same data, or another
            run is writing it.
        MachineError: the folder cannot be made.
    """

    def __init__(
        self, folder: str | Path | None, data: str | Path, recipe: Recipe, *, resume: bool, listener: Listener = ignore
    ) -> None:
        place = xxhash.xxh3_64(str(Path(data).resolve()).encode()).hexdigest()
        self._mark = f"# data {place}\n{recipe.to_toml()}"
        self.listener, self._resume = listener, resume
        chosen = self._chosen(Path(data).resolve().stem) if folder is None else folder
        self.path = given_path(chosen, what="the output folder")
        self._state = self.path / UNFINISHED
        self.model = self._state / "model"
        self._complete = self._state / "complete"
        self.finished = False
        self._went_on = False
        self._made: Path | None = None  # the topmost folder that this run has made
        self._lock = -1

    def __enter__(self) -> OutputFolder:
        self._went_on = self._is_taken()
        self._made = _topmost_missing(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MachineError(
                f"the folder `{self.path}` cannot be made: {error.strerror}", "give another --output-dir"
            ) from error
        self._lock = _locked(self.path)
        try:
            self._begin()
        except BaseException:
            if self._went_on:
                self._unlock()
            else:
                self._take_away()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        trained = isinstance(error, MachineError) and any(self._state.glob("*/*"))
        if trained:
            self.listener(Note(f"what was trained is kept in `{self.path}`; go on with --resume"))
        if isinstance(error, Exception) and not self._went_on and not trained and not self._is_finished():
            self._take_away()
        else:
            self._unlock()

    @property
    def resumed_from(self) -> dict[str, Any] | None:
        """What was found of an earlier run, as a stage and an epoch; None where there was none."""
        if not self._went_on:
            return None
        stage, place, facts = "finished", None, {}  # type: str, str | None, dict[str, Any]
        if not self.finished:
            stage = "frozen_pass" if self._journal.found else "prepare"
            if self.checkpoints.resumed:
                stage, (place, facts) = "train", self.checkpoints.resumed
        return {"stage": stage, "part": place, "epoch": facts.get("epoch")}

    def decide(self, name: str, choose: Callable[[], Any]) -> Any:
        """Return what `choose` gives, written down before anything acts on it; a run that goes on decides the same."""
        return self._journal.decide(name, choose)

    def compare(self, facts: Mapping[str, Any]) -> None:
        """Say where a run that goes on is not where it was begun: with other threads, libraries, data or weights."""
        begun = self.decide("begun with", lambda: dict(facts))
        for name, value in facts.items():
            if begun.get(name) != value:
                self.listener(
                    Note(
                        f"the run was begun with {name} {begun.get(name)} and goes on with {value}: "
                        "the model may differ from that of a run without a break"
                    )
                )

    def publish(self) -> Path:
        """Move the model up, file by file, what makes it load last, and return the folder: the run is finished."""
        with saying_what_failed(self.path, 0):
            if self.model.exists():
                os.replace(self.model, self._complete)
                sync(self._state)
            last = [self._complete / name for name in ("config.json", SETTINGS)]
            for file in [*sorted({*self._complete.iterdir()} - {*last}), *last]:
                if file.exists():
                    if file.name == SETTINGS:
                        sync(self.path)
                    os.replace(file, self.path / file.name)
            sync(self.path)
        shutil.rmtree(self._state, ignore_errors=True)
        return self.path

    def _begin(self) -> None:
        """Take up what is there, or begin a run."""
        remove_unfinished(self.path)
        if self._complete.exists() or self._is_finished():
            self.finished = True
            self.publish() if self._complete.exists() else shutil.rmtree(self._state, ignore_errors=True)
            self.listener(Note(f"the run in `{self.path}` is finished"))
            return
        write_durably(self.path / RECIPE, self._mark.encode())
        with saying_what_failed(self._state, 0):
            self._state.mkdir(exist_ok=True)
        remove_unfinished(self._state)
        shutil.rmtree(self.model, ignore_errors=True)  # its report is missing, and saving it again takes seconds
        self._journal = Journal(self._state / "journal.jsonl")
        self.checkpoints = Checkpoints(self._state / "checkpoints", self.listener)
        if self._went_on:
            self.listener(Note(f"going on with the unfinished run in `{self.path}`"))

    def _is_finished(self) -> bool:
        return (self.path / SETTINGS).exists()

    def _is_taken(self) -> bool:
        """Say whether there is a run that this one may go on with.

        Raises:
            UsageError: there is something else.
        """
        if not self.path.exists() or (self.path.is_dir() and not _contents(self.path)):
            return False
        written = self.path / RECIPE
        if not written.is_file() or (self._is_finished() and not self._resume):
            kind = "file" if self.path.is_file() else "folder"
            raise UsageError(f"the {kind} `{self.path}` exists", "choose another --output-dir, or remove it")
        if not self._resume:
            raise UsageError(f"the folder `{self.path}` holds an unfinished run", "add --resume, or remove it")
        if written.read_text(encoding="utf-8") != self._mark:
            raise UsageError(
                f"the folder `{self.path}` holds a run of another recipe or of other data",
                f"give the same data and the settings in `{written}`, or another --output-dir",
            )
        return True

    def _chosen(self, name: str) -> Path:
        """Return the newest unfinished run of this recipe where one is to be resumed, else a new folder."""
        candidate, number, unfinished = RUNS / name, 2, None
        while candidate.exists():
            recipe = candidate / RECIPE
            same = recipe.is_file() and recipe.read_text(encoding="utf-8") == self._mark
            if self._resume and same and not (candidate / SETTINGS).exists():
                unfinished = candidate
            candidate, number = RUNS / f"{name}-{number}", number + 1
        return unfinished or candidate

    def _take_away(self) -> None:
        for child in self.path.iterdir():
            if child.is_dir() and not child.is_symlink():
                shutil.rmtree(child, ignore_errors=True)
            else:
                child.unlink(missing_ok=True)
        self._unlock()
        if self._made:
            shutil.rmtree(self._made, ignore_errors=True)

    def _unlock(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _contents(folder: Path) -> list[Path]:
    """Return what is in a folder, without what a run that was killed at once has left."""
    return [path for path in folder.iterdir() if not (path.name.startswith(f".{RECIPE}.") and path.suffix == ".tmp")]


def _locked(folder: Path) -> int:
    """Return a descriptor that holds the folder until it is closed or the process ends; -1 where systems have none."""
    try:
        import fcntl
    except ImportError:  # Windows
        return -1
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise UsageError(f"another run is writing the folder `{folder}`", "wait for it, or give another") from error
    return descriptor


def _topmost_missing(path: Path) -> Path | None:
    """Return the highest folder on the way to `path` that does not exist, or None."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    return missing[-1] if missing else None
