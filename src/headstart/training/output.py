"""The folder a run writes: new, or an unfinished run of the same recipe; removed again when the run fails."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType

from headstart.durable import write_durably
from headstart.errors import HeadstartError, MachineError, UsageError
from headstart.model import RECORD
from headstart.training.recipe import Recipe

RECIPE = "recipe.toml"


class OutputFolder:
    """A context that gives the folder's path.

    A run is finished once its record is there. An error that headstart explains removes what the run has written; a
    kill leaves it, and `resume` goes on with it.

    Raises:
        UsageError: the folder exists and is not an unfinished run of the same recipe.
    """

    def __init__(self, folder: str | Path | None, data: str | Path, recipe: Recipe, *, resume: bool) -> None:
        self.path = Path(folder) if folder else _unused(Path("headstart-runs"), Path(data).resolve().stem)
        self._recipe, self._resume = recipe, resume
        self._made = False

    def __enter__(self) -> Path:
        if self.path.exists() and (self.path.is_file() or any(self.path.iterdir())):
            self._require_unfinished()
        self._made = not self.path.exists()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MachineError(
                f"the folder `{self.path}` cannot be made: {error.strerror}", "give another --output-dir"
            ) from error
        write_durably(self.path / RECIPE, self._recipe.to_toml().encode())
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, HeadstartError) and not (self.path / RECORD).exists():
            self._remove()

    def _remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        parent = self.path.parent
        if self._made and parent.name == "headstart-runs" and not any(parent.iterdir()):
            parent.rmdir()

    def _require_unfinished(self) -> None:
        written = self.path / RECIPE
        if not written.is_file() or (self.path / RECORD).exists():
            raise UsageError(f"the folder `{self.path}` exists", "choose another --output-dir, or remove it")
        if not self._resume:
            raise UsageError(f"the folder `{self.path}` holds an unfinished run", "add --resume, or remove it")
        if written.read_text(encoding="utf-8") != self._recipe.to_toml():
            raise UsageError(
                f"the folder `{self.path}` holds an unfinished run of another recipe",
                f"give the settings in `{written}`, or another --output-dir",
            )


def _unused(parent: Path, name: str) -> Path:
    """Return `parent/name`, with a number where that is taken."""
    candidate, number = parent / name, 2
    while candidate.exists():
        candidate, number = parent / f"{name}-{number}", number + 1
    return candidate
