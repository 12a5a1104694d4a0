"""Pre-trained networks as ordered lists of blocks. `open_backbone` finds one; each other file is a family."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart import assets
from headstart.backbones.contract import Backbone, Family
from headstart.checkpoints import hub
from headstart.errors import CheckpointError, ModelError, first_line, nearest
from headstart.registry import plugins
from headstart.types import Example

_LAYERS_AT_MOST = 1_000
_IMPLEMENTATIONS = ("_implementation", "_implementation_internal")


def open_backbone(name_or_path: str | Path, *, examples: Sequence[Example] = (), device: str = "cpu") -> Backbone:
    """Open a backbone by catalogue name, by the path of a folder, or by hub id: `organisation/name[@revision]`.

    What came from a hub is called after its commit: the same name gives the same files.

    Args:
        examples: lets a family fit its input window to them (seconds of sound, say).
        device: where the network is to lie, `cpu`, `cuda` or `mps`.

    Raises:
        ModelError: nothing of that name is known, or its files are damaged or of an unknown kind.
        MachineError: the weights could not be obtained.
    """
    name = str(name_or_path)
    folder = _locate(name)
    if not Path(name).exists() and hub.is_id(name):
        name = hub.pinned(name, folder)
    family, config = open_family(folder)
    _require_kind(name, family, examples)
    family.adjust(config, examples)
    network = family.open(folder, config).to(device)
    return Backbone(
        name=name, family=family, network=network, preprocess=family.preprocess(folder, config), source=folder
    )


def _require_kind(name: str, family: Family, examples: Sequence[Example]) -> None:
    """Raise where the backbone reads, say, photos and the examples are texts."""
    given = next((next(iter(example.inputs)) for example in examples if family.kind not in example.inputs), None)
    if given is None:
        return
    families = [one.name for one in plugins("backbones").values() if one.kind == given]
    fitting = [f"`{one}`" for one, asset in assets.catalogue().items() if asset.family in families]
    raise ModelError(
        f"the backbone `{name}` reads {family.kind} inputs, and these are {given} inputs",
        f"choose a backbone that reads them: {', '.join(fitting)}",
    )


def open_family(folder: Path) -> tuple[Family, Any]:
    """Return the family and the transformers configuration of a folder in hub layout.

    Raises:
        CheckpointError: config.json is damaged, or no family reads its type of network.
    """
    try:
        written = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        model_type = written["model_type"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"`{folder}/config.json` cannot be read", "the folder is damaged; obtain it again"
        ) from error
    _refuse_endless(written, folder)
    families = plugins("backbones")
    for family in families.values():
        if model_type in family.model_types:
            return family, _configuration(family, written, folder)
    known = sorted(kind for family in families.values() for kind in family.model_types)
    raise CheckpointError(
        f"`{folder}` holds a network of the type `{model_type}`, which headstart has no family for",
        "known types: " + ", ".join(known),
    )


def _refuse_endless(written: Mapping[str, Any], folder: Path) -> None:
    """Raise where a configuration asks for more layers than any network has: they would be made before the weights."""
    for name, value in written.items():
        if "layer" in name and isinstance(value, int | float) and value > _LAYERS_AT_MOST:
            raise CheckpointError(
                f"`{folder}/config.json` says {value:,} for `{name}`, more than {_LAYERS_AT_MOST:,}",
                "the file is damaged; obtain the folder again",
            )


def _configuration(family: Family, written: Mapping[str, Any], folder: Path) -> Any:
    # transformers obtains and runs an implementation that is called like a repository.
    data = {name: value for name, value in written.items() if not name.endswith(_IMPLEMENTATIONS)}
    try:
        return family.configuration(data)
    except CheckpointError:
        raise
    except Exception as error:  # strict dataclasses below raise several types of their own
        raise CheckpointError(
            f"`{folder}/config.json` is not valid for a `{family.name}` network: {first_line(error)}",
            "the file is damaged; obtain the folder again",
        ) from error


def _locate(name: str) -> Path:
    # os.path, unlike pathlib, raises on no name at all: `~nobody/model`, or one of 300 characters.
    path = Path(os.path.expanduser(name))  # noqa: PTH111
    if name.strip() and os.path.exists(path):  # noqa: PTH110
        return _converted(path)
    catalogue = assets.catalogue()
    if name in catalogue and catalogue[name].kind == "weights":
        return _converted(assets.get(name))
    if hub.is_id(name):
        return hub.download(name)
    raise _unknown(name)


def _unknown(name: str) -> ModelError:
    """Return the error for a name that nothing is known by, with the likeliest way out."""
    known = [key for key, asset in assets.catalogue().items() if asset.kind == "weights"]
    if "://" in name:
        return ModelError(f"`{name}` is an address, and no backbone", "give a hub id such as `organisation/name`")
    if name in assets.catalogue():
        return ModelError(f"`{name}` is data, and no backbone", nearest(name, known))
    if name.startswith((".", "~")) or os.sep in name:
        return ModelError(f"there is no folder `{name}`", f"check the path, or {nearest('', known)}")
    hint = nearest(name, known)
    also = "" if hint.startswith("did") else "; or give a hub id such as `organisation/name`"
    return ModelError(f"there is no backbone `{name}`", hint + also)


def _converted(path: Path) -> Path:
    """Return a folder in hub layout: `path` itself, or what a family made of another published format."""
    if (path / "config.json").is_file():
        return path
    for family in plugins("backbones").values():
        folder = family.convert(path)
        if folder is not None:
            return folder
    raise CheckpointError(
        f"`{path}` is no checkpoint that headstart reads",
        "give a folder with config.json and model.safetensors, or a checkpoint in a family's published format",
    )
