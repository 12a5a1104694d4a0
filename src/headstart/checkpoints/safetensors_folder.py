"""Read a folder in hub layout: one `model.safetensors`, or shards with an index, and `config.json`.

Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from headstart.checkpoints.contract import Checkpoint, array, reading
from headstart.errors import CheckpointError, MissingExtra, UnsafeFile

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"

_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


def read(path: Path) -> Checkpoint:
    """Read the weights of a hub folder (or of one safetensors file); `metadata` is its `config.json`.

    Raises:
        CheckpointError: a file is missing or damaged, or the index names a tensor that no shard holds.
        UnsafeFile: the index names a file outside the folder.
        MissingExtra: the package safetensors is not installed.
    """
    if path.is_file():
        return Checkpoint(_tensors(path))
    expected = shards_of(path)
    tensors: dict[str, np.ndarray] = {}
    for shard in sorted(set(expected.values())) or [SINGLE]:
        tensors |= _tensors(path / shard)
    if missing := sorted(expected.keys() - tensors.keys()):
        raise CheckpointError(f"`{path / INDEX}` lists `{missing[0]}`, which no shard holds", "obtain the folder again")
    return Checkpoint(tensors, _json(path / "config.json"))


def shards_of(folder: Path) -> dict[str, str]:
    """Return the shard of each tensor, or nothing where the folder has no index.

    Raises:
        CheckpointError: the index is damaged.
        UnsafeFile: it names a file outside the folder.
    """
    with reading(folder / INDEX):
        shards = {str(name): str(file) for name, file in _json(folder / INDEX).get("weight_map", {}).items()}
    for file in shards.values():
        if Path(file).name != file or file.startswith("."):
            raise UnsafeFile(
                f"`{folder / INDEX}` names `{file}`, which is outside the folder", "do not use this folder"
            )
    return shards


def _json(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    with reading(file):
        content = json.loads(file.read_bytes())
        if not isinstance(content, dict):
            raise ValueError("it is not a JSON object")
    return content


def _tensors(file: Path) -> dict[str, np.ndarray]:
    try:
        from safetensors import deserialize
    except ImportError:
        raise MissingExtra("safetensors", "text") from None
    with reading(file):
        entries = deserialize(file.read_bytes())
        return {name: array(entry["data"], _dtype(entry), entry["shape"]) for name, entry in entries}


def _dtype(entry: dict[str, Any]) -> str:
    try:
        return _DTYPES[entry["dtype"]]
    except KeyError:
        raise ValueError(f"the dtype {entry['dtype']} is not supported") from None
