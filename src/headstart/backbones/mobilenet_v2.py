"""MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381).

Blocks: stem, 16 inverted residual blocks, the last convolution. Whether padding is TensorFlow's (an odd pixel goes
last) or symmetric is an entry of the configuration.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import MobileNetV2Config, MobileNetV2Model

from headstart.backbones.contract import Family, StockForm
from headstart.cut import Block, Features
from headstart.preprocess.image import ImagePreprocess
from headstart.types import Spec


class ShortMobileNetV2Model(MobileNetV2Model):
    """The first `config.kept_blocks` blocks; transformers' own class always builds all of them."""

    def __init__(self, config: MobileNetV2Config, **options: Any) -> None:
        super().__init__(config, **options)
        kept = getattr(config, "kept_blocks", None)
        if kept is not None:
            drop(self, kept)


def drop(network: MobileNetV2Model, keep: int) -> None:
    """Drop the blocks above `keep`, in place."""
    if keep <= len(network.layer) + 1:
        network.conv_1x1 = nn.Identity()
    network.layer = network.layer[: keep - 1]


class MobileNetV2(Family):
    name = "mobilenet-v2"
    kind = "image"
    model_types = ("mobilenet_v2",)
    prefix = "mobilenet_v2"
    head = "average"
    inputs = {"pixel_values": Spec("input", 3)}

    def build(self, config: Any) -> ShortMobileNetV2Model:
        return ShortMobileNetV2Model(config)

    def tiny(self) -> MobileNetV2Config:
        return MobileNetV2Config(depth_multiplier=0.1, expand_ratio=1.0, finegrained_output=False, image_size=32)

    def sample(self, config: Any, examples: int = 2) -> Features:
        return {"pixel_values": torch.randn(examples, config.num_channels, 32, 32)}

    def blocks(self, network: Any) -> list[Block]:
        found = [Block("stem", network.conv_stem, _stem, reads=("pixel_values",), writes=_maps(network.conv_stem))]
        named = [(f"layer.{place}", layer) for place, layer in enumerate(network.layer)]
        if not isinstance(network.conv_1x1, nn.Identity):
            named.append(("conv_1x1", network.conv_1x1))
        return found + [Block(name, module, _run, reads=("maps",), writes=_maps(module)) for name, module in named]

    def truncate(self, network: Any, keep: int) -> None:
        drop(network, keep)
        if isinstance(network.conv_1x1, nn.Identity):
            network.config.kept_blocks = keep

    def preprocess(self, folder: Path, config: Any) -> ImagePreprocess:
        return ImagePreprocess.open(folder)

    def stock_form(self, head: str, task: str, config: Any) -> StockForm | None:
        whole = getattr(config, "kept_blocks", None) is None
        if (head, task) != ("average", "image-classification") or not whole:
            return None
        return StockForm(_stock_class, {"linear": "classifier"})


def _stem(module: nn.Module, features: Features) -> Features:
    return {"maps": module(features["pixel_values"])}


def _run(module: nn.Module, features: Features) -> Features:
    return {"maps": module(features["maps"])}


def _maps(module: nn.Module) -> dict[str, Spec]:
    """Return the shape of what a block writes, by its last convolution."""
    convolutions = [part for part in module.modules() if isinstance(part, nn.Conv2d)]
    return {"maps": Spec("map", convolutions[-1].out_channels)}


def _stock_class() -> type[nn.Module]:
    from transformers import MobileNetV2ForImageClassification

    return MobileNetV2ForImageClassification


family = MobileNetV2()
