"""EfficientNet-Lite (Tan and Le 2019, arXiv:1905.11946; Lite: no squeeze-and-excitation, ReLU6).

Blocks: stem, one for each inverted residual block, the last convolution. transformers does not have this
network; it is written here and registered with its Auto classes. Input: (pixel - 127) / 128, RGB.
Source of the numbers: https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import (
    BaseModelOutputWithPoolingAndNoAttention,
    ImageClassifierOutputWithNoAttention,
)

from headstart.assets import cache_folder
from headstart.backbones.contract import Family, StockForm
from headstart.checkpoints.contract import Checkpoint, files_of
from headstart.checkpoints.conversion import convert_once
from headstart.cut import Block, Features
from headstart.preprocess.image import ImagePreprocess
from headstart.types import Spec

# Repeats, kernel, stride of the first, expansion, width: the seven stages of EfficientNet-B0 and Lite0.
_LITE0_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_LITE0_LAYERS = tuple(
    (kernel, stride if place == 0 else 1, expansion, width)
    for repeats, kernel, stride, expansion, width in _LITE0_STAGES
    for place in range(repeats)
)

_NORM_LEAVES = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")

# Whole pictures are squeezed into the square: a crop loses what lies at the edge.
_PREPROCESSOR = {
    "image_processor_type": "ViTImageProcessor",
    "do_resize": True,
    "size": {"height": 224, "width": 224},
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [127 / 255] * 3,
    "image_std": [128 / 255] * 3,
}


class EfficientNetLiteConfig(PreTrainedConfig):
    """Configuration of an EfficientNet-Lite.

    Args:
        layers: kernel, stride, expansion and width of each inverted residual block.
        head_width: width of the last convolution, or None where it has been dropped.
    """

    model_type = "efficientnet_lite"

    num_channels: int = 3
    stem_width: int = 32
    layers: list | tuple = _LITE0_LAYERS
    head_width: int | None = 1280
    batch_norm_eps: float = 1e-3


class _ConvNorm(nn.Module):
    """Convolution with TensorFlow's `SAME` padding (an odd pixel goes last), BatchNorm, perhaps ReLU6."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        eps: float,
        *,
        stride: int = 1,
        groups: int = 1,
        act: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=eps)
        self.act = nn.ReLU6() if act else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        height, width = (_padding(size, kernel, stride) for size in maps.shape[2:])
        return self.act(self.norm(self.conv(F.pad(maps, (*width, *height)))))


def _padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class _InvertedResidual(nn.Module):
    """Widen, filter each channel alone, narrow; add the input where the shapes agree."""

    def __init__(self, inputs: int, kernel: int, stride: int, expansion: int, outputs: int, eps: float) -> None:
        super().__init__()
        width = inputs * expansion
        self.expand = _ConvNorm(inputs, width, 1, eps) if expansion > 1 else nn.Identity()
        self.depthwise = _ConvNorm(width, width, kernel, eps, stride=stride, groups=width)
        self.project = _ConvNorm(width, outputs, 1, eps, act=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, maps: Tensor) -> Tensor:
        narrow = self.project(self.depthwise(self.expand(maps)))
        return maps + narrow if self.residual else narrow


class EfficientNetLitePreTrainedModel(PreTrainedModel):
    config_class = EfficientNetLiteConfig
    base_model_prefix = "efficientnet_lite"
    main_input_name = "pixel_values"
    input_modalities = ("image",)  # type: ignore[assignment]


class EfficientNetLiteModel(EfficientNetLitePreTrainedModel):
    """The network without classifier: `last_hidden_state` [N, C, H, W], its mean `pooler_output` [N, C]."""

    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__(config)
        eps, width = config.batch_norm_eps, config.stem_width
        self.stem = _ConvNorm(config.num_channels, width, 3, eps, stride=2)
        self.layers = nn.ModuleList()
        for kernel, stride, expansion, outputs in config.layers:
            self.layers.append(_InvertedResidual(width, kernel, stride, expansion, outputs, eps))
            width = outputs
        self.head = nn.Identity() if config.head_width is None else _ConvNorm(width, config.head_width, 1, eps)
        self.post_init()

    @property
    def width(self) -> int:
        """The number of channels of `last_hidden_state`."""
        widths = [self.config.stem_width, *(layer[-1] for layer in self.config.layers)]
        return int(self.config.head_width or widths[-1])

    def forward(self, pixel_values: Tensor, **_options: Any) -> BaseModelOutputWithPoolingAndNoAttention:
        maps = self.stem(pixel_values)
        for layer in self.layers:
            maps = layer(maps)
        maps = self.head(maps)
        return BaseModelOutputWithPoolingAndNoAttention(last_hidden_state=maps, pooler_output=maps.mean((2, 3)))


class EfficientNetLiteForImageClassification(EfficientNetLitePreTrainedModel):
    """The network with a linear classifier on the average of its maps: `logits` [N, K]."""

    def __init__(self, config: EfficientNetLiteConfig) -> None:
        super().__init__(config)
        self.efficientnet_lite = EfficientNetLiteModel(config)
        self.classifier = nn.Linear(self.efficientnet_lite.width, config.num_labels)  # type: ignore[arg-type]
        self.post_init()

    def forward(
        self, pixel_values: Tensor, labels: Tensor | None = None, **_options: Any
    ) -> ImageClassifierOutputWithNoAttention:
        logits = self.classifier(self.efficientnet_lite(pixel_values).pooler_output)
        loss = None if labels is None else F.cross_entropy(logits, labels)
        return ImageClassifierOutputWithNoAttention(loss=loss, logits=logits)


def convert(checkpoint: Checkpoint) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Rename the weights of an EfficientNet-Lite0 from `EfficientNet-PyTorch`; its classifier is left out.

    Raises:
        KeyError: a weight is missing.
    """
    names = {"_conv_stem": "stem.conv", "_bn0": "stem.norm", "_conv_head": "head.conv", "_bn1": "head.norm"}
    for place, (_, _, expansion, _) in enumerate(_LITE0_LAYERS):
        parts = ["depthwise", "project"] if expansion == 1 else ["expand", "depthwise", "project"]
        for part in parts:
            norm = {"expand": 0, "depthwise": 1, "project": 2}[part]
            names[f"_blocks.{place}._{part}_conv"] = f"layers.{place}.{part}.conv"
            names[f"_blocks.{place}._bn{norm}"] = f"layers.{place}.{part}.norm"
    tensors = {
        f"{ours}.{leaf}": checkpoint.tensors[f"{theirs}.{leaf}"]
        for theirs, ours in names.items()
        for leaf in (("weight",) if ours.endswith("conv") else _NORM_LEAVES)
    }
    return {"model_type": "efficientnet_lite", "architectures": ["EfficientNetLiteModel"]}, tensors


def _run(module: nn.Module, features: Features) -> Features:
    return {"maps": module(features["maps"])}


def _stem(module: nn.Module, features: Features) -> Features:
    return {"maps": module(features["pixel_values"])}


class EfficientNetLite(Family):
    name = "efficientnet-lite"
    kind = "image"
    model_types = ("efficientnet_lite",)
    prefix = "efficientnet_lite"
    head = "average"
    inputs = {"pixel_values": Spec("input", 3)}

    def configuration(self, written: Any) -> EfficientNetLiteConfig:
        self.register()
        return super().configuration(written)

    def build(self, config: EfficientNetLiteConfig) -> EfficientNetLiteModel:
        return EfficientNetLiteModel(config)

    def tiny(self) -> EfficientNetLiteConfig:
        layers = [[3, 1, 1, 8], [5, 2, 4, 12], [3, 1, 4, 12]]
        return EfficientNetLiteConfig(stem_width=8, layers=layers, head_width=24)

    def sample(self, config: EfficientNetLiteConfig, examples: int = 2) -> Features:
        return {"pixel_values": torch.randn(examples, config.num_channels, 32, 32)}

    def blocks(self, network: Any) -> list[Block]:
        def block(name: str, module: nn.Module, width: int) -> Block:
            return Block(name, module, _run, reads=("maps",), writes={"maps": Spec("map", width)})

        config = network.config
        stem = {"maps": Spec("map", config.stem_width)}
        found = [Block("stem", network.stem, _stem, reads=("pixel_values",), writes=stem)]
        for place, (module, layer) in enumerate(zip(network.layers, config.layers, strict=True)):
            found.append(block(f"layer.{place}", module, layer[-1]))
        if config.head_width is not None:
            found.append(block("head", network.head, config.head_width))
        return found

    def truncate(self, network: Any, keep: int) -> None:
        config = network.config
        if keep <= len(network.layers) + 1:
            config.head_width, network.head = None, nn.Identity()
        config.layers = [list(layer) for layer in config.layers[: keep - 1]]
        network.layers = network.layers[: keep - 1]

    def preprocess(self, folder: Path, config: Any) -> ImagePreprocess:
        return ImagePreprocess.open(folder)

    def stock_form(self, head: str, task: str, config: Any) -> StockForm | None:
        if (head, task) != ("average", "image-classification"):
            return None
        return StockForm(lambda: EfficientNetLiteForImageClassification, {"linear": "classifier"})

    def register(self) -> None:
        from transformers import AutoConfig, AutoModel, AutoModelForImageClassification

        AutoConfig.register(EfficientNetLiteConfig.model_type, EfficientNetLiteConfig, exist_ok=True)
        AutoModel.register(EfficientNetLiteConfig, EfficientNetLiteModel, exist_ok=True)
        AutoModelForImageClassification.register(
            EfficientNetLiteConfig, EfficientNetLiteForImageClassification, exist_ok=True
        )

    def convert(self, folder: Path) -> Path | None:
        """Read the state dict of an EfficientNet-Lite0 in a `.pth` file."""
        weights = files_of(folder, ".pth")
        if len(weights) != 1:
            return None
        return convert_once(
            weights[0],
            reader="torch_pickle",
            convert=convert,
            files={"preprocessor_config.json": _PREPROCESSOR},
            cache=cache_folder() / "converted",
        )


family = EfficientNetLite()
