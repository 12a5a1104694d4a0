"""Walk one example through the real code and say what each step read, wrote and took."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from headstart.backbones import open_backbone
from headstart.cut import to_device
from headstart.data.inputs import open_inputs
from headstart.data.media import kind_of_file
from headstart.device import resolve_device
from headstart.errors import UnreadableFile
from headstart.features.extract import inputs_of
from headstart.heads.contract import make_head
from headstart.ranking.defaults import choose_backbone
from headstart.types import Example, Kind, Skipped


@torch.no_grad()
def trace(path: str | Path, *, backbone: str = "auto", device: str = "auto") -> list[dict[str, Any]]:
    """Return one row a step, with `file`, `in`, `out`, `bytes` (of what came out) and `seconds`."""
    kind = kind_of_file(Path(path)) or "text"
    place = torch.device(resolve_device(device))
    walk = _Walk()
    example = walk.step("data/inputs.py", str(path), lambda: _first(path, kind))
    name = choose_backbone(kind, backbone)
    network = walk.step(
        "backbones/__init__.py", name, lambda: open_backbone(name, examples=[example], device=place.type)
    )
    preprocess = f"preprocess/{kind}.py"
    decoded = walk.step(preprocess, example, lambda: network.preprocess.decode(example))
    features = walk.step(preprocess, decoded, lambda: to_device(inputs_of(network, [decoded]), place))
    for block in network.blocks:
        read = {name: features[name] for name in block.reads if name in features}
        file = f"{_file_of(network.family)} {block.name}"
        written = walk.step(file, read, partial(block, features))
        features = {**features, **written}
    outputs = {name: features[name] for name in network.outputs if name in features}
    head = make_head(network.family.head, network.outputs, 2).eval().to(place)
    walk.step(_file_of(head), outputs, partial(head.pooled, outputs))
    return walk.rows


class _Walk:
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def step(self, file: str, given: Any, run: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = run()
        seconds = time.perf_counter() - started
        self.rows.append(
            {
                "file": file,
                "in": _shape(given),
                "out": _shape(result),
                "bytes": _bytes(result),
                "seconds": seconds,
            }
        )
        return result


def _file_of(plugin: object) -> str:
    """Return the file that a plug-in is in, as `backbones/bert.py`."""
    return type(plugin).__module__.removeprefix("headstart.").replace(".", "/") + ".py"


def _first(path: str | Path, kind: Kind) -> Example:
    example = open_inputs([path], kind)[0]
    if isinstance(example, Skipped):
        raise UnreadableFile(path, example.error)
    return example


def _shape(value: Any) -> str:
    """Say in a few words what passes between two steps."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shape(one)}" for name, one in value.items())
    if isinstance(value, np.ndarray | torch.Tensor):
        return f"{list(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, list):
        return f"[{len(value)}]"
    if isinstance(value, Example):
        return f"example `{value.name}`"
    return value if isinstance(value, str) else type(value).__name__


def _bytes(value: Any) -> int:
    if isinstance(value, dict):
        return sum(_bytes(one) for one in value.values())
    if isinstance(value, np.ndarray | torch.Tensor):
        return value.nbytes
    if hasattr(value, "parameters") and isinstance(value.parameters, int):
        return 4 * value.parameters
    return 0
