"""Make a folder in hub layout of a checkpoint in another format, once for each file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from headstart.checkpoints.contract import Checkpoint, read, reading
from headstart.durable import folder_appears
from headstart.errors import CheckpointError, MissingExtra

REVISION = 1
"""Raised whenever a conversion would write other bytes, so that folders made before are not found."""

Files = Mapping[str, Mapping[str, Any] | str]

Convert = Callable[[Checkpoint], tuple[dict[str, Any], dict[str, np.ndarray]]]
"""Return the configuration for transformers and float32 tensors under the names of the hub."""


def convert_once(weights: Path, *, reader: str, convert: Convert, files: Files, cache: Path) -> Path:
    """Return the folder in hub layout for the file `weights`, made if it is not in `cache` yet.

    Args:
        files: further files by name: what goes into a JSON file such as `preprocessor_config.json`, or a whole text.
        cache: where converted folders are kept, named after the content of `weights` and the conversion.

    Raises:
        CheckpointError: the file is damaged, or is not of the network that `convert` knows.
        UnsafeFile: it wants to run code.
    """
    folder = cache / _key(weights, convert, files)
    if not (folder / "config.json").is_file():
        config, tensors = _converted(weights, reader, convert)
        with folder_appears(folder, sum(tensor.nbytes for tensor in tensors.values())) as made:
            _write(made, {**files, "config.json": config}, tensors)
    return folder


def float32(tensor: np.ndarray) -> np.ndarray:
    """Return an owned, contiguous float32 copy."""
    return np.array(tensor, dtype=np.float32, order="C")


def _converted(weights: Path, reader: str, convert: Convert) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    checkpoint = read(weights, reader)
    try:
        return convert(checkpoint)
    except KeyError as error:
        raise CheckpointError(
            f"`{weights}` lacks the weight {error}",
            "it is of another network, or of another variant of this one",
        ) from error


def _key(weights: Path, convert: Convert, files: Files) -> str:
    digest = xxhash.xxh3_128(f"{REVISION} {convert.__module__} {json.dumps(files, sort_keys=True)}".encode())
    with reading(weights), weights.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _write(folder: Path, files: Files, tensors: dict[str, np.ndarray]) -> None:
    try:
        from safetensors.numpy import save_file
    except ImportError:
        raise MissingExtra("safetensors", "text") from None
    # safetensors writes the memory as it lies: a transposed view would come back scrambled.
    tensors = {name: np.require(tensor, requirements="C") for name, tensor in tensors.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content, indent=2) + "\n"
        (folder / name).write_text(text, encoding="utf-8")
