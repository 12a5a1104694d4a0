"""A family: three convolutions in a row, each a block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from headstart.backbones.contract import Family
from headstart.cut import Block, Features
from headstart.preprocess.image import ImagePreprocess
from headstart.types import Spec


class ToyConfig(PreTrainedConfig):
    model_type = "toy"

    num_channels: int = 3
    width: int = 8
    layers: int = 3


class ToyModel(PreTrainedModel):
    config_class = ToyConfig
    main_input_name = "pixel_values"

    def __init__(self, config: ToyConfig) -> None:
        super().__init__(config)
        channels = [config.num_channels, *[config.width] * config.layers]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(inputs, config.width, 3, 2, 1), nn.Tanh()) for inputs in channels[:-1]
        )
        self.post_init()

    def forward(self, pixel_values: Tensor, **_options: Any) -> BaseModelOutput:
        for layer in self.layers:
            pixel_values = layer(pixel_values)
        return BaseModelOutput(last_hidden_state=pixel_values)


def _first(module: nn.Module, features: Features) -> Features:
    return {"maps": module(features["pixel_values"])}


def _next(module: nn.Module, features: Features) -> Features:
    return {"maps": module(features["maps"])}


class Toy(Family):
    name = "toy-family"
    kind = "image"
    model_types = ("toy",)
    prefix = "toy"
    head = "average"
    inputs = {"pixel_values": Spec("input", 3)}

    def configuration(self, written: Any) -> ToyConfig:
        self.register()
        return super().configuration(written)

    def register(self) -> None:
        from transformers import AutoConfig, AutoModel

        AutoConfig.register("toy", ToyConfig, exist_ok=True)
        AutoModel.register(ToyConfig, ToyModel, exist_ok=True)

    def build(self, config: ToyConfig) -> ToyModel:
        return ToyModel(config)

    def tiny(self) -> ToyConfig:
        return ToyConfig()

    def sample(self, config: ToyConfig, examples: int = 2) -> Features:
        return {"pixel_values": torch.randn(examples, 3, 32, 32)}

    def blocks(self, network: ToyModel) -> list[Block]:
        writes = {"maps": Spec("map", network.config.width)}
        return [
            Block(f"layer.{place}", module, _next if place else _first,
                  reads=("maps",) if place else ("pixel_values",), writes=writes)
            for place, module in enumerate(network.layers)
        ]  # fmt: skip

    def truncate(self, network: ToyModel, keep: int) -> None:
        network.layers = network.layers[:keep]
        network.config.layers = keep

    def preprocess(self, folder: Path, config: Any) -> ImagePreprocess:
        return ImagePreprocess.open(folder)


family = Toy()
