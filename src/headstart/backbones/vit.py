"""Vision Transformer (Dosovitskiy et al. 2020, arXiv:2010.11929).

Blocks: patches and positions, one for each layer, the final LayerNorm. A pre-norm network: between the first and
the last block runs a raw residual stream, which a head normalises before it reads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from headstart.backbones.contract import Family, StockForm, load_network
from headstart.cut import Block, Features
from headstart.preprocess.image import ImagePreprocess
from headstart.types import Spec


def _embed(module: nn.Module, features: Features) -> Features:
    return {"hidden_states": module(features["pixel_values"])}


def _layer(module: nn.Module, features: Features) -> Features:
    return {"hidden_states": module(features["hidden_states"])}


class Vit(Family):
    name = "vit"
    kind = "image"
    model_types = ("vit",)
    prefix = "vit"
    head = "cls"
    inputs = {"pixel_values": Spec("input", 3)}

    def build(self, config: Any) -> Any:
        from transformers import ViTModel

        return ViTModel(config, add_pooling_layer=False)

    def open(self, folder: Path, config: Any) -> Any:
        from transformers import ViTModel

        return load_network(ViTModel, folder, config, add_pooling_layer=False)

    def tiny(self) -> Any:
        from transformers import ViTConfig

        return ViTConfig(
            hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64, image_size=32,
            patch_size=8,
        )  # fmt: skip

    def sample(self, config: Any, examples: int = 2) -> Features:
        return {"pixel_values": torch.randn(examples, config.num_channels, config.image_size, config.image_size)}

    def blocks(self, network: Any) -> list[Block]:
        return pre_norm_blocks(network, network.layers)

    def truncate(self, network: Any, keep: int) -> None:
        layers = min(keep - 1, len(network.layers))
        network.layers = network.layers[:layers]
        network.config.num_hidden_layers = layers

    def preprocess(self, folder: Path, config: Any) -> ImagePreprocess:
        return ImagePreprocess.open(folder)

    def stock_form(self, head: str, task: str, config: Any) -> StockForm | None:
        if (head, task) != ("cls", "image-classification"):
            return None
        return StockForm(_stock_class, {"linear": "classifier"})


def pre_norm_blocks(network: Any, layers: nn.ModuleList) -> list[Block]:
    """Return the blocks of a vision transformer with `embeddings` and a final `layernorm`."""
    width, epsilon = network.config.hidden_size, network.config.layer_norm_eps
    stream = {"hidden_states": Spec("sequence", width, normalised=False, epsilon=epsilon)}
    last = {"hidden_states": Spec("sequence", width)}
    return [
        Block("embeddings", network.embeddings, _embed, reads=("pixel_values",), writes=stream),
        *(Block(f"layer.{i}", m, _layer, reads=("hidden_states",), writes=stream) for i, m in enumerate(layers)),
        Block("layernorm", network.layernorm, _layer, reads=("hidden_states",), writes=last),
    ]


def _stock_class() -> type[nn.Module]:
    from transformers import ViTForImageClassification

    return ViTForImageClassification


family = Vit()
