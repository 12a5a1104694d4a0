"""The folder a run writes: new, or an unfinished run of the same recipe; emptied again when the run fails."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import TracebackType

import xxhash

from headstart.durable import write_durably
from headstart.errors import MachineError, UsageError
from headstart.model import RECORD
from headstart.place import given_path
from headstart.record import RECIPE
from headstart.training.recipe import Recipe


class OutputFolder:
    """A context that gives the folder's path, which no other run can have at the same time.

    A run is finished once its record is there. A run that fails takes everything it made away again, but nothing
    that was there before; a run that is killed or interrupted leaves it, and `resume` goes on with it.

    Raises:
        UsageError: the folder exists and is not an unfinished run of the same recipe on the same data, or another
            run is writing it.
        MachineError: the folder cannot be made.
    """

    def __init__(self, folder: str | Path | None, data: str | Path, recipe: Recipe, *, resume: bool) -> None:
        if folder is None:
            folder = _unused(Path("headstart-runs"), Path(data).resolve().stem)
        self.path = given_path(folder, what="the output folder")
        place = xxhash.xxh3_64(str(Path(data).resolve()).encode()).hexdigest()
        self._mark = f"# data {place}\n{recipe.to_toml()}"
        self._resume = resume
        self._made: Path | None = None  # the topmost folder that this run has made
        self._lock = -1

    def __enter__(self) -> Path:
        if self.path.exists() and (self.path.is_file() or any(self.path.iterdir())):
            self._require_unfinished()
        self._made = _topmost_missing(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MachineError(
                f"the folder `{self.path}` cannot be made: {error.strerror}", "give another --output-dir"
            ) from error
        self._lock = _locked(self.path)
        try:
            write_durably(self.path / RECIPE, self._mark.encode())
        except BaseException:
            self._take_away()
            raise
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) and not (self.path / RECORD).exists():
            self._take_away()
        elif self._lock >= 0:
            os.close(self._lock)

    def _take_away(self) -> None:
        for child in self.path.iterdir():
            if child.is_dir() and not child.is_symlink():
                shutil.rmtree(child, ignore_errors=True)
            else:
                child.unlink(missing_ok=True)
        if self._lock >= 0:
            os.close(self._lock)
        if self._made:
            shutil.rmtree(self._made, ignore_errors=True)

    def _require_unfinished(self) -> None:
        written = self.path / RECIPE
        if not written.is_file() or (self.path / RECORD).exists():
            raise UsageError(f"the folder `{self.path}` exists", "choose another --output-dir, or remove it")
        if not self._resume:
            raise UsageError(f"the folder `{self.path}` holds an unfinished run", "add --resume, or remove it")
        if written.read_text(encoding="utf-8") != self._mark:
            raise UsageError(
                f"the folder `{self.path}` holds an unfinished run of another recipe or of other data",
                f"give the same data and the settings in `{written}`, or another --output-dir",
            )


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


def _unused(parent: Path, name: str) -> Path:
    """Return `parent/name`, with a number where that is taken."""
    candidate, number = parent / name, 2
    while candidate.exists():
        candidate, number = parent / f"{name}-{number}", number + 1
    return candidate
