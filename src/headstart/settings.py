"""What headstart.toml says of a saved model, checked before anything is made of it: people edit files."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headstart import assets
from headstart.data.walk import is_file
from headstart.errors import CheckpointError, HeadstartError, ModelError, VersionError
from headstart.record import RECIPE, SETTINGS
from headstart.registry import plugin
from headstart.tasks.contract import Task, find_task

FORMAT = 1
_WAY_OUT = "undo what was changed in the file, or train the model again"


@dataclass(frozen=True)
class Settings:
    """What is needed beside the weights.

    Attributes:
        freeze: how many blocks were frozen. head, engine: their names, known to be installed.
        task: what is predicted. facts: what the run wanted to remember.
    """

    freeze: int
    head: str
    engine: str
    task: Task
    facts: Mapping[str, Any]


def read_settings(folder: Path) -> Settings:
    """Read the settings of a saved model.

    Raises:
        ModelError: the folder is no model. VersionError: a newer headstart wrote it.
        CheckpointError: the file is damaged, or says what cannot be.
    """
    path = folder / SETTINGS
    written = _tables(folder, path)
    try:
        facts, described = dict(written["model"]), dict(written["task"])
        freeze, head, engine = facts.pop("freeze"), facts.pop("head"), facts.pop("engine")
        full_name = described.pop("name")
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"`{path}` is damaged: it lacks {error}", _WAY_OUT) from error
    if not _is_count(freeze):
        raise CheckpointError(f"`{path}` says `freeze = {freeze}`, which is no number of blocks", _WAY_OUT)
    try:
        plugin("heads", head), plugin("engines", engine)
        task, kind = find_task(full_name)
    except HeadstartError as error:
        raise CheckpointError(f"`{path}` is damaged: {error.message}", error.hint) from error
    if described.get("kind") != kind:
        raise CheckpointError(f"`{path}` names the task `{full_name}` and the kind `{described.get('kind')}`", _WAY_OUT)
    _require_labels(path, described)
    try:
        return Settings(freeze, head, engine, task.from_config(described), facts)
    except (KeyError, TypeError, ValueError, AttributeError, HeadstartError) as error:
        raise CheckpointError(f"`{path}` is damaged: it does not describe a `{full_name}`", _WAY_OUT) from error


def require_fitting(folder: Path, settings: Settings, *, blocks: int, names: Mapping[Any, Any]) -> None:
    """Compare settings with the network beside them.

    Args:
        blocks: how many the network has.
        names: of its outputs, by number, as config.json has them.

    Raises:
        CheckpointError: the two do not belong together.
    """
    path = folder / SETTINGS
    if settings.freeze > blocks:
        raise CheckpointError(
            f"`{path}` says `freeze = {settings.freeze}`, and the network has {blocks} blocks", _WAY_OUT
        )
    expected, found = list(settings.task.output_names), [str(names[number]) for number in sorted(names, key=int)]
    if expected and found != expected:
        raise CheckpointError(
            f"`{path}` names the classes {_listed(expected)}, and config.json {_listed(found)}",
            "write the same names in both, in the same order",
        )


def _tables(folder: Path, path: Path) -> dict[str, Any]:
    if not is_file(path):
        raise _no_model(folder)
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
        number, by = written["headstart"]["format"], str(written["headstart"]["version"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"`{path}` is damaged", _WAY_OUT) from error
    if not _is_count(number) or number < 1:
        raise CheckpointError(f"`{path}` is damaged: its format is `{number}`", _WAY_OUT)
    if number > FORMAT:
        raise VersionError(
            f"`{folder}` was written by headstart {by}, which is newer than this one",
            "pip install --upgrade headstart",
        )
    return written


def _no_model(folder: Path) -> ModelError:
    """Return the error for a folder that holds no model, with the likeliest way out."""
    name = str(folder)
    if name in assets.catalogue():
        return ModelError(f"`{name}` is a backbone, and no model yet", f"headstart fit DATA --backbone {name}")
    if not folder.exists():
        beside = [path.name for path in folder.parent.glob("*/")] if folder.parent.is_dir() else []
        close = difflib.get_close_matches(folder.name, beside, n=1)
        hint = f"did you mean `{folder.parent / close[0]}`?" if close else "give the folder that `fit` named"
        return ModelError(f"there is no model `{folder}`", hint)
    if is_file(folder / RECIPE):
        return ModelError(
            f"`{folder}` is an unfinished run", "give `headstart fit` the same arguments again, with --resume"
        )
    if is_file(folder / "config.json"):
        return ModelError(f"`{folder}` is a backbone, and no model yet", f"headstart fit DATA --backbone {folder}")
    return ModelError(
        f"`{folder}` is not a model that headstart saved",
        f"the model comes first: the folder that `fit` named, which holds {SETTINGS}",
    )


def _require_labels(path: Path, described: Mapping[str, Any]) -> None:
    """Raise where the classes of a task are no list of different names."""
    if "labels" not in described:
        return
    labels = described["labels"]
    names = labels if isinstance(labels, list) else []
    if not names or not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        raise CheckpointError(f"`{path}` says `labels = {labels}`, which is no list of different names", _WAY_OUT)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:5]) + (" ..." if len(names) > 5 else "")
