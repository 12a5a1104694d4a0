"""Hub folders made of checkpoints in other formats."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.checkpoints.contract import Checkpoint, read
from headstart.checkpoints.conversion import convert_once
from headstart.errors import CheckpointError, NoSpace

WEIGHT = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    name = b"layer/weight\0"
    data = struct.pack("<IH4sII", 6, 4, b"Toy\0", 1, 1) + struct.pack("<H", len(name)) + name
    data += struct.pack("<BIIBI", 2, 2, 3, 0, WEIGHT.nbytes) + WEIGHT.tobytes() + struct.pack("<I", 0)
    (tmp_path / "model.bin").write_bytes(data)
    return tmp_path / "model.bin"


def convert(checkpoint: Checkpoint) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    transposed = checkpoint.tensors["layer/weight"].T
    return {"model_type": "toy"}, {"layer.weight": transposed, "count": np.array(3)}


def test_a_folder_is_made_once(weights: Path, tmp_path: Path) -> None:
    files = {"preprocessor_config.json": {"size": 224}}
    options: dict[str, Any] = {"reader": "ctranslate2", "files": files, "cache": tmp_path / "cache"}
    folder = convert_once(weights, convert=convert, **options)
    assert sorted(file.name for file in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ]
    checkpoint = read(folder, "safetensors_folder")
    assert checkpoint.metadata == {"model_type": "toy"}
    np.testing.assert_array_equal(checkpoint.tensors["layer.weight"], WEIGHT.T)
    assert checkpoint.tensors["count"].shape == ()

    def never(checkpoint: Checkpoint) -> Any:
        pytest.fail("converted twice")

    assert convert_once(weights, convert=never, **options) == folder
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_another_network_is_refused_and_leaves_nothing(weights: Path, tmp_path: Path) -> None:
    def wants_more(checkpoint: Checkpoint) -> Any:
        return {}, {"other": checkpoint.tensors["other/weight"]}

    with pytest.raises(CheckpointError, match="other/weight"):
        convert_once(weights, reader="ctranslate2", convert=wants_more, files={}, cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_full_disk_leaves_nothing_half_converted(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    with pytest.raises(NoSpace):
        convert_once(weights, reader="ctranslate2", convert=convert, files={}, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
