"""The measured defaults that `auto` stands for."""

from __future__ import annotations

from headstart import assets
from headstart.backbones.contract import Backbone
from headstart.data.dataset import Dataset
from headstart.device import resolve_device
from headstart.engines.contract import Engine
from headstart.errors import MissingExtra, UsageError
from headstart.registry import plugin
from headstart.tasks.contract import Task, find_task
from headstart.training.recipe import Recipe
from headstart.types import Kind

# The best of the catalogue for each kind of data.
BACKBONES: dict[Kind, str] = {"text": "minilm-l6", "image": "efficientnet-lite0", "audio": "whisper-tiny.en"}
_EXTRAS = {"openvino": "openvino"}


def task_kind(recipe: Recipe) -> Kind | None:
    """Return the kind of data that the recipe's task reads, or None where the data decide.

    Raises:
        UsageError: there is no such task.
    """
    return None if recipe.task == "auto" else find_task(recipe.task)[1]


def choose_task(dataset: Dataset, recipe: Recipe) -> Task:
    """Return the task that the recipe names, or the classification of what the data hold."""
    name = f"{dataset.kind}-classification" if recipe.task == "auto" else recipe.task
    return find_task(name)[0].of(dataset)


def choose_backbone(kind: Kind, name: str) -> str:
    """Return the name of the backbone; `auto` is the catalogue's best for this kind of data."""
    if name != "auto":
        return name
    if kind not in BACKBONES:
        raise UsageError(f"there is no default backbone for {kind} data", "name one with --backbone")
    return BACKBONES[kind]


def choose_cut(backbone: Backbone, recipe: Recipe) -> tuple[int, int, str]:
    """Return `keep`, `freeze` and the head's name.

    Raises:
        ModelError: the backbone has not so many blocks.
    """
    best_keep, best_freeze = backbone.family.default_depths(len(backbone.blocks))
    kept = backbone.depth(best_keep if recipe.keep == "auto" else recipe.keep, "keep")
    keep, freeze = backbone.depths(kept, min(best_freeze, kept) if recipe.freeze == "auto" else recipe.freeze)
    return keep, freeze, backbone.family.head if recipe.head == "auto" else recipe.head


def choose_engine(recipe: Recipe) -> Engine:
    """Return the engine that the recipe names; `auto` is the reference, PyTorch in float32."""
    engine: Engine = plugin("engines", "torch" if recipe.engine == "auto" else recipe.engine)
    if not engine.available():
        raise MissingExtra(engine.name, _EXTRAS.get(engine.name, "all"))
    if engine.name != "torch" and resolve_device(recipe.device) != "cpu":
        raise UsageError(f"the engine `{engine.name}` runs on the processor only", "add `--device cpu`")
    return engine


def known_facts(backbone: Backbone) -> dict[str, str]:
    """Return what the catalogue knows of where the weights come from."""
    asset = assets.catalogue().get(backbone.name)
    if asset is None:
        return {"licence": "unknown", "origin": backbone.name}
    return {"licence": asset.licence, "origin": asset.origin}
