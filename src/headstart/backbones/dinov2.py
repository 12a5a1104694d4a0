"""DINOv2 (Oquab et al. 2023, arXiv:2304.07193): a Vision Transformer with LayerScale, trained without labels.

Blocks: patches and positions, one for each layer, the final LayerNorm.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.assets import cache_folder
from headstart.backbones.contract import Family, StockForm
from headstart.backbones.vit import pre_norm_blocks
from headstart.checkpoints.contract import Checkpoint, files_of
from headstart.checkpoints.conversion import convert_once, float32
from headstart.cut import Block, Features
from headstart.preprocess.image import ImagePreprocess
from headstart.types import Spec

# As published with the weights: the shorter side to 256 pixels, the centre, ImageNet's mean and deviation.
_PREPROCESSOR = {
    "image_processor_type": "BitImageProcessor",
    "do_convert_rgb": True,
    "do_resize": True,
    "size": {"shortest_edge": 256},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}
# What PyTorch's exporter calls the two parts of the position embeddings, which it folded apart.
_POSITIONS = ("backbone.embeddings.Concat_6.0", "backbone.embeddings.Reshape_1.0")
_HEAD_WIDTH = 64


def convert(checkpoint: Checkpoint) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Rename the initialisers of an ONNX file whose network holds a DINOv2 under `backbone`.

    Raises:
        KeyError: a weight is missing.
    """
    found = checkpoint.tensors
    tensors = {"embeddings.position_embeddings": float32(np.concatenate([found[n] for n in _POSITIONS], axis=1))}
    for name, tensor in found.items():
        scope, _, ours = name.partition("backbone.")
        if scope or name in _POSITIONS or not ours:
            continue
        if ours.endswith(".MatMul.1"):
            tensors[ours.removesuffix("MatMul.1") + "weight"] = float32(tensor.T)
        else:
            tensors[ours] = float32(tensor)
    return _configuration(tensors), tensors


def _configuration(tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    width, _, patch, _ = tensors["embeddings.patch_embeddings.projection.weight"].shape
    positions = tensors["embeddings.position_embeddings"].shape[1] - 1
    return {
        "model_type": "dinov2",
        "architectures": ["Dinov2Model"],
        "hidden_size": width,
        "num_hidden_layers": sum(name.endswith("layer_scale1.lambda1") for name in tensors),
        "num_attention_heads": width // _HEAD_WIDTH,
        "mlp_ratio": len(tensors["encoder.layer.0.mlp.fc1.bias"]) // width,
        "image_size": round(positions**0.5) * patch,
        "patch_size": patch,
        "layer_norm_eps": 1e-6,
        "use_mask_token": False,
    }


class Dinov2(Family):
    name = "dinov2"
    kind = "image"
    model_types = ("dinov2",)
    prefix = "dinov2"
    head = "cls-mean"
    inputs = {"pixel_values": Spec("input", 3)}

    def build(self, config: Any) -> Any:
        from transformers import Dinov2Model

        return Dinov2Model(config)

    def tiny(self) -> Any:
        from transformers import Dinov2Config

        return Dinov2Config(
            hidden_size=32, num_hidden_layers=3, num_attention_heads=4, mlp_ratio=2, image_size=32, patch_size=8,
            layerscale_value=0.5,
        )  # fmt: skip

    def sample(self, config: Any, examples: int = 2) -> Features:
        return {"pixel_values": torch.randn(examples, config.num_channels, config.image_size, config.image_size)}

    def blocks(self, network: Any) -> list[Block]:
        return pre_norm_blocks(network, network.encoder.layer)

    def truncate(self, network: Any, keep: int) -> None:
        layers = min(keep - 1, len(network.encoder.layer))
        network.encoder.layer = network.encoder.layer[:layers]
        config = network.config
        config.num_hidden_layers = layers
        # Which stages a detector would read; transformers refuses names of those that are gone.
        config.stage_names = config.stage_names[: layers + 1]
        config.set_output_features_output_indices(out_features=None, out_indices=None)

    def preprocess(self, folder: Path, config: Any) -> ImagePreprocess:
        return ImagePreprocess.open(folder)

    def stock_form(self, head: str, task: str, config: Any) -> StockForm | None:
        """Dinov2ForImageClassification reads the first step beside the mean of the others."""
        if (head, task) != ("cls-mean", "image-classification"):
            return None
        return StockForm(_stock_class, {"linear": "classifier"})

    def convert(self, folder: Path) -> Path | None:
        """Read an ONNX file that holds a DINOv2 under `backbone`."""
        weights = files_of(folder, ".onnx")
        if len(weights) != 1:
            return None
        return convert_once(
            weights[0],
            reader="onnx_initialisers",
            convert=convert,
            files={"preprocessor_config.json": _PREPROCESSOR},
            cache=cache_folder() / "converted",
        )


def _stock_class() -> type[nn.Module]:
    from transformers import Dinov2ForImageClassification

    return Dinov2ForImageClassification


family = Dinov2()
