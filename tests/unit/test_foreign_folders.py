"""Backbones out of folders from anywhere: what does not fit, or wants to run code, is refused with a reason."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from headstart.backbones import open_backbone
from headstart.errors import CheckpointError, ModelError, UnreadableFile, UnsafeFile
from headstart.types import Example
from networks import write_network

WEIGHT = "encoder.layer.0.output.dense.weight"


class Malicious:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (self.canary,)


def replaced(folder: Path, weight: torch.Tensor) -> Path:
    """Write a network one of whose weights is `weight`."""
    file = write_network(folder) / "model.safetensors"
    save_file({**load_file(file), WEIGHT: weight}, file, metadata={"format": "pt"})
    return folder


def test_a_backbone_for_other_inputs_is_refused_with_one_that_fits(tmp_path: Path) -> None:
    photo = Example("1.jpg", {"image": Path("1.jpg")})
    with pytest.raises(ModelError, match="reads text inputs, and these are image inputs") as caught:
        open_backbone(write_network(tmp_path), examples=[photo])
    assert "`efficientnet-lite0`" in caught.value.hint
    assert "minilm" not in caught.value.hint


def test_a_weight_of_another_shape_is_named_with_both_shapes(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"`{WEIGHT}` .* has the shape \[3, 5\]"):
        open_backbone(replaced(tmp_path, torch.zeros(3, 5)))


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    shape = load_file(write_network(tmp_path) / "model.safetensors")[WEIGHT].shape
    with pytest.raises(CheckpointError, match=f"`{WEIGHT}` .* no numbers"):
        open_backbone(replaced(tmp_path, torch.full(shape, torch.nan)))


def test_a_pickle_in_place_of_weights_is_never_opened(tmp_path: Path) -> None:
    folder, canary = write_network(tmp_path / "network"), tmp_path / "canary"
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Malicious(canary)}))
    with pytest.raises(UnsafeFile, match=r"pytorch_model.bin` is a pickle"):
        open_backbone(folder)
    assert not canary.exists()


def test_code_beside_the_weights_is_never_run(tmp_path: Path) -> None:
    folder, canary = write_network(tmp_path / "network"), tmp_path / "canary"
    (folder / "modeling_x.py").write_text(f"import os\nos.mkdir({str(canary)!r})\n")
    config = (folder / "config.json").read_text()
    code = '{"auto_map": {"AutoConfig": "modeling_x.C", "AutoModel": "modeling_x.M"},'
    (folder / "config.json").write_text(config.replace("{", code, 1))
    assert open_backbone(folder).name == str(folder)
    assert not canary.exists()


@pytest.mark.parametrize("name", ["~nobody-of-this-name/model", "x" * 300], ids=["no such user", "too long"])
def test_names_that_the_system_refuses_are_unknown_backbones(name: str) -> None:
    with pytest.raises(ModelError, match="there is no (backbone|folder)"):
        open_backbone(name)


def test_a_text_that_is_no_unicode_is_unreadable(tmp_path: Path) -> None:
    preprocess = open_backbone(write_network(tmp_path)).preprocess
    with pytest.raises(UnreadableFile, match="no characters"):
        preprocess.decode(Example("row 1", {"text": "caf\udce9"}))


@pytest.mark.parametrize(
    "settings", [{"image_std": [0.5]}, {"size": {"height": 10**6, "width": 10**6}}], ids=["one channel", "a bomb"]
)
def test_an_image_processor_that_cannot_work_is_refused(tmp_path: Path, settings: dict[str, object]) -> None:
    file = write_network(tmp_path, "vit") / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    with pytest.raises(CheckpointError, match="no image processor"):
        open_backbone(tmp_path)
