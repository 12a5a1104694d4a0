"""Find plug-ins: every file of a plug-in folder is one, and other packages add theirs by entry points.

A plug-in module defines one object under the folder's noun:

    folder             noun         contract
    data/formats       format       headstart.data.formats.contract.Format
    backbones          family       headstart.backbones.contract.Family
    heads              head         headstart.heads.contract.Head (the class)
    engines            engine       headstart.engines.contract.Engine
    tasks              task         headstart.tasks.contract.Task (the class)
    evaluation/simple  descriptor   headstart.evaluation.simple.contract.Descriptor
    checking/checks    check        headstart.checking.checks.contract.Check
    ranking/scores     score        headstart.ranking.scores.contract.Score
    cli                command      a function with typer options

Adding one is adding a file. Another package adds one by an entry point whose group is `headstart.<folder>` with
dots for slashes and whose value is a module: `[project.entry-points."headstart.backbones"] toy = "my_package.toy"`.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from headstart.errors import ModelError, UsageError, nearest

NOUNS = {
    "data.formats": "format",
    "backbones": "family",
    "heads": "head",
    "engines": "engine",
    "tasks": "task",
    "evaluation.simple": "descriptor",
    "checking.checks": "check",
    "ranking.scores": "score",
    "cli": "command",
}


@cache
def plugins(folder: str) -> dict[str, Any]:
    """Return the plug-ins of `folder` (such as `data.formats`) by name, in the order of their names.

    The name is the plug-in's own attribute `name`, else that of its module with dashes.
    """
    found: dict[str, Any] = {}
    for module in _modules(folder):
        try:
            plugin = getattr(module, NOUNS[folder])
        except AttributeError:
            raise ModelError(
                f"the plug-in `{module.__name__}` defines no `{NOUNS[folder]}`",
                f"a module in `headstart.{folder}` names its plug-in `{NOUNS[folder]}`",
            ) from None
        name = getattr(plugin, "name", None) or module.__name__.rpartition(".")[2].replace("_", "-")
        if name in found:
            raise ModelError(f"two plug-ins of `headstart.{folder}` are called `{name}`", "rename one of them")
        found[name] = plugin
    return dict(sorted(found.items()))


def plugin(folder: str, name: str) -> Any:
    """Return the plug-in called `name`, or raise with the nearest valid name."""
    try:
        return plugins(folder)[name]
    except (KeyError, TypeError):  # TypeError: a file that names it holds a list, say
        raise UsageError(f"there is no {NOUNS[folder]} `{name}`", nearest(str(name), plugins(folder))) from None


def _modules(folder: str) -> list[ModuleType]:
    package = importlib.import_module(f"headstart.{folder}")
    own = [
        importlib.import_module(f"{package.__name__}.{info.name}")
        for info in pkgutil.iter_modules(package.__path__)
        if info.name != "contract"
    ]
    return own + [point.load() for point in entry_points(group=f"headstart.{folder}")]
