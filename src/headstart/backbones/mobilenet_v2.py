"""MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381).

Blocks: stem, 16 inverted residual blocks, the last convolution. Whether padding is TensorFlow's (an odd pixel goes
last) or symmetric is an entry of the configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import MobileNetV2Config, MobileNetV2Model

from headstart.backbones.contract import Family, StockForm
from headstart.checkpoints.contract import Checkpoint, files_of
from headstart.checkpoints.conversion import convert_once, float32
from headstart.cut import Block, Features
from headstart.place import cache_folder
from headstart.preprocess.image import ImagePreprocess
from headstart.types import Spec

_LAYERS, _EPSILON, _PIXELS = 16, 1e-3, 300
_SCOPE = re.compile(r"FeatureExtractor/MobilenetV2/((?:expanded_conv(?:_\d+)?/)?\w+)/")

# As the detector was trained: whole pictures in the square, values from -1 to 1.
_PREPROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "do_resize": True,
    "size": {"height": _PIXELS, "width": _PIXELS},
    "resample": 2,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}


class ShortMobileNetV2Model(MobileNetV2Model):
    """The first `config.kept_blocks` blocks; transformers' own class always builds all of them."""

    def __init__(self, config: MobileNetV2Config, **options: Any) -> None:
        super().__init__(config, **options)
        kept = getattr(config, "kept_blocks", None)
        if kept is not None:
            drop(self, kept)


def drop(network: Any, keep: int) -> None:
    """Drop the blocks above `keep`, in place."""
    if keep <= len(network.layer) + 1:
        network.conv_1x1 = nn.Identity()
    network.layer = network.layer[: keep - 1]


def convert(checkpoint: Checkpoint) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Take the backbone out of a detector. BatchNorm, folded into the convolutions there, is the identity here.

    Raises:
        KeyError: a convolution is missing.
    """
    found = _convolutions(checkpoint)
    tensors: dict[str, np.ndarray] = {}
    for theirs, ours in _names():
        weight, bias = found[theirs]
        tensors |= {
            f"{ours}.convolution.weight": weight,
            f"{ours}.normalization.weight": np.ones_like(bias),
            f"{ours}.normalization.bias": bias,
            f"{ours}.normalization.running_mean": np.zeros_like(bias),
            f"{ours}.normalization.running_var": np.full_like(bias, 1 - _EPSILON),
            f"{ours}.normalization.num_batches_tracked": np.array(0, np.int64),
        }
    config = {"model_type": "mobilenet_v2", "architectures": ["MobileNetV2Model"], "image_size": _PIXELS}
    return {**config, "layer_norm_eps": _EPSILON}, tensors


def _names() -> Iterator[tuple[str, str]]:
    """Yield the scope of each convolution in TensorFlow and its name in transformers."""
    yield "Conv", "conv_stem.first_conv"
    yield "expanded_conv/depthwise", "conv_stem.conv_3x3"
    yield "expanded_conv/project", "conv_stem.reduce_1x1"
    for place in range(_LAYERS):
        for theirs, ours in (("expand", "expand_1x1"), ("depthwise", "conv_3x3"), ("project", "reduce_1x1")):
            yield f"expanded_conv_{place + 1}/{theirs}", f"layer.{place}.{ours}"
    yield "Conv_1", "conv_1x1"


def _convolutions(checkpoint: Checkpoint) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return weight [O, I, H, W] and bias of each convolution by its scope, which its output is called after."""
    operators = checkpoint.metadata["operators"]
    halves = {one["outputs"][0]: one["inputs"][0] for one in operators if one["operator"] == "dequantize"}
    axes = {"conv_2d": (0, 3, 1, 2), "depthwise_conv_2d": (3, 0, 1, 2)}
    found = {}
    for one in operators:
        scope = _SCOPE.match(one["outputs"][0])
        if scope and one["operator"] in axes:
            weight, bias = (checkpoint.tensors[halves.get(name, name)] for name in one["inputs"][1:3])
            found[scope[1]] = float32(weight.transpose(axes[one["operator"]])), float32(bias)
    return found


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

    def convert(self, folder: Path) -> Path | None:
        """Read a `.tflite` file with a MobileNetV2 of TensorFlow's object detection in it."""
        weights = files_of(folder, ".tflite")
        if len(weights) != 1:
            return None
        return convert_once(
            weights[0],
            reader="tflite",
            convert=convert,
            files={"preprocessor_config.json": _PREPROCESSOR},
            cache=cache_folder() / "converted",
        )

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
