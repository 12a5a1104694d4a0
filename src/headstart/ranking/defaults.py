"""The measured defaults that `auto` stands for."""

from __future__ import annotations

from headstart import assets
from headstart.backbones.contract import Backbone
from headstart.data.dataset import Dataset
from headstart.data.targets import TargetForm
from headstart.device import resolve_device
from headstart.engines.contract import Engine
from headstart.errors import MissingExtra, UsageError
from headstart.heads.contract import features_of, make_head
from headstart.registry import plugin, plugins
from headstart.tasks.contract import Task, find_task
from headstart.training.continuing import Earlier
from headstart.training.recipe import Recipe
from headstart.types import Kind

# The best of the catalogue for each kind of data.
BACKBONES: dict[Kind, str] = {"text": "minilm-l6", "image": "efficientnet-lite0", "audio": "whisper-tiny.en"}


def wanted_tasks(recipe: Recipe) -> tuple[Kind | None, list[TargetForm]]:
    """Return the kind of data and the forms of targets that the recipe's task reads; `auto` leaves both to the data.

    Raises:
        UsageError: there is no such task.
    """
    if recipe.task == "auto":
        return None, [task.form for task in plugins("tasks").values()]
    task, kind = find_task(recipe.task)
    return kind, [task.form]


def task_class(dataset: Dataset, recipe: Recipe) -> type[Task]:
    """Return the task that the recipe names; for `auto` the one whose form read the targets of the data."""
    if recipe.task != "auto":
        return find_task(recipe.task)[0]
    return next(task for task in plugins("tasks").values() if task.form is dataset.form)


def choose_backbone(kind: Kind, name: str) -> str:
    """Return the name of the backbone; `auto` is the catalogue's best for this kind of data."""
    if name != "auto":
        return name
    if kind not in BACKBONES:
        raise UsageError(f"there is no default backbone for {kind} data", "name one with --backbone")
    return BACKBONES[kind]


def choose_cut(
    backbone: Backbone, recipe: Recipe, task: type[Task], *, earlier: Earlier | None = None
) -> tuple[int, int, str]:
    """Return `keep`, `freeze` and the head's name: by default that which an adapted model had for the same task.

    Raises:
        ModelError: the backbone has not so many blocks. UsageError: the task needs another head.
    """
    best_keep, best_freeze = backbone.family.default_depths(len(backbone.blocks))
    kept = backbone.depth(best_keep if recipe.keep == "auto" else recipe.keep, "keep")
    keep, freeze = backbone.depths(kept, min(best_freeze, kept) if recipe.freeze == "auto" else recipe.freeze)
    usual = task.head or backbone.family.head
    if (
        earlier
        and isinstance(earlier.task, task)
        and plugin("heads", earlier.head.name).reads == _reads(backbone, keep)
    ):
        usual = earlier.head.name
    head = usual if recipe.head == "auto" else recipe.head
    if plugin("heads", head).per_step != plugin("heads", usual).per_step:
        raise UsageError(
            f"the head `{head}` does not fit the task `{task.name_for(backbone.kind)}`",
            f"leave --head away, or choose `{usual}`",
        )
    make_head(head, backbone.outputs_at(keep), 2)  # refuses before any pass a head that reads other features
    return keep, freeze, head


def choose_engine(recipe: Recipe) -> Engine:
    """Return the engine that the recipe names; `auto` is the reference, PyTorch in float32."""
    engine: Engine = plugin("engines", "torch" if recipe.engine == "auto" else recipe.engine)
    if not engine.available():
        raise MissingExtra(engine.name, engine.name)
    if engine.name != "torch" and resolve_device(recipe.device) != "cpu":
        raise UsageError(f"the engine `{engine.name}` runs on the processor only", "add `--device cpu`")
    return engine


def _reads(backbone: Backbone, keep: int) -> str:
    return features_of(backbone.outputs_at(keep))[1].kind


def known_facts(backbone: Backbone, earlier: Earlier | None = None) -> dict[str, str]:
    """Return what the weights are and where they come from: as an adapted model or the catalogue knows it."""
    if earlier:
        kept = {name: str(earlier.facts.get(name, "unknown")) for name in ("licence", "origin")}
        return {"backbone": backbone.name, **kept, "continued": str(earlier.facts.get("backbone", "unknown"))}
    asset = assets.catalogue().get(backbone.name)
    if asset is None:
        return {"backbone": backbone.name, "licence": "unknown", "origin": backbone.name}
    return {"backbone": backbone.name, "licence": asset.licence, "origin": asset.origin}
