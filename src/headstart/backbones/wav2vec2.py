"""Wav2Vec2 (Baevski et al. 2020, arXiv:2006.11477): speech from the waveform on.

Blocks: convolutions, projection, positions, one for each layer; the larger networks are pre-norm
(`do_stable_layer_norm`) and end in a LayerNorm, which is a block as well. Padding changes nothing here: the smaller
networks normalise each channel over time (`feat_extract_norm = "group"`), and that is done over the real steps alone.
In transformers it is done over the padding too, so that such a network must be run there one recording at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Wav2Vec2Config, Wav2Vec2Model

from headstart.backbones.contract import Family, StockForm
from headstart.cut import Block, Features
from headstart.errors import CheckpointError
from headstart.preprocess.waveform import WaveformPreprocess
from headstart.types import Spec

_BELOW_LAYERS = ("convolutions", "projection", "positions")


class ShortWav2Vec2Model(Wav2Vec2Model):
    """The first `config.kept_blocks` blocks; transformers' own class always builds those below the layers."""

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__(config)
        kept = getattr(config, "kept_blocks", None)
        if kept is not None:
            drop(self, kept)


def drop(network: Any, keep: int) -> None:
    """Drop the blocks above `keep`, in place; a final norm stays where there is a raw stream to normalise."""
    network.encoder.layers = network.encoder.layers[: max(0, keep - len(_BELOW_LAYERS))]
    if keep < 3:
        network.encoder.pos_conv_embed = network.encoder.layer_norm = nn.Identity()
    if keep < 2:
        network.feature_projection = nn.Identity()


class Wav2Vec2(Family):
    name = "wav2vec2"
    kind = "audio"
    model_types = ("wav2vec2",)
    prefix = "wav2vec2"
    head = "mean"
    inputs = {"input_values": Spec("input", ragged=True), "attention_mask": Spec("mask", ragged=True)}

    def configuration(self, written: Mapping[str, Any]) -> Wav2Vec2Config:
        """Leave out what only pre-training needs: the mask token, which no block reads.

        Raises:
            CheckpointError: the network has adapters, which are no part of the published one.
        """
        config = super().configuration(written)
        if config.add_adapter:
            raise CheckpointError(
                "the `wav2vec2` network has an adapter above its layers, which headstart cannot cut",
                "use the checkpoint that it was made of",
            )
        config.mask_time_prob = config.mask_feature_prob = 0.0
        return config

    def build(self, config: Wav2Vec2Config) -> ShortWav2Vec2Model:
        return ShortWav2Vec2Model(config)

    def tiny(self) -> Wav2Vec2Config:
        return Wav2Vec2Config(
            hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64, conv_dim=(16, 16),
            conv_kernel=(10, 8), conv_stride=(8, 8), num_conv_pos_embeddings=4,
            num_conv_pos_embedding_groups=2, mask_time_prob=0.0,
        )  # fmt: skip

    def sample(self, config: Wav2Vec2Config, examples: int = 2) -> Features:
        mask = torch.ones(examples, 768, dtype=torch.int64)
        mask[1:, 450:] = 0
        return {"input_values": torch.randn(examples, 768) * mask, "attention_mask": mask}

    def blocks(self, network: Any) -> list[Block]:
        config, encoder = network.config, network.encoder
        pre_norm = config.do_stable_layer_norm
        steps = Spec("sequence", config.hidden_size, ragged=True)
        stream = {"hidden_states": Spec("sequence", config.hidden_size, ragged=True, normalised=not pre_norm,
                                        epsilon=config.layer_norm_eps)}  # fmt: skip
        reads = ("hidden_states", "attention_mask")
        found = [_convolutions(network)]
        if not isinstance(network.feature_projection, nn.Identity):
            found.append(Block("projection", network.feature_projection, _project, reads=reads[:1],
                               writes={"hidden_states": steps}))  # fmt: skip
        if not isinstance(encoder.pos_conv_embed, nn.Identity):
            first = nn.ModuleDict({"convolution": encoder.pos_conv_embed, "dropout": encoder.dropout})
            if not pre_norm:
                first["norm"] = encoder.layer_norm
            found.append(Block("positions", first, _locate, reads=reads, writes=stream))
            found += [Block(f"layer.{i}", m, _layer, reads=reads, writes=stream) for i, m in enumerate(encoder.layers)]
            if pre_norm:
                found.append(Block("layer_norm", encoder.layer_norm, _norm, reads=reads[:1],
                                   writes={"hidden_states": steps}))  # fmt: skip
        return found

    def truncate(self, network: Any, keep: int) -> None:
        drop(network, keep)
        network.config.num_hidden_layers = len(network.encoder.layers)
        if keep < len(_BELOW_LAYERS):
            network.config.kept_blocks = keep

    def preprocess(self, folder: Path, config: Wav2Vec2Config) -> WaveformPreprocess:
        return WaveformPreprocess.open(folder, shortest=samples_at_least(config))

    def stock_form(self, head: str, task: str, config: Wav2Vec2Config) -> StockForm | None:
        """Wav2Vec2ForSequenceClassification projects before it averages: with the identity it is our `mean`."""
        whole = getattr(config, "kept_blocks", None) is None
        if (head, task) != ("mean", "audio-classification") or not whole:
            return None
        entries = {"classifier_proj_size": config.hidden_size, "use_weighted_layer_sum": False}
        return StockForm(_stock_class, {"linear": "classifier"}, entries, _project_nothing)


def samples_at_least(config: Wav2Vec2Config) -> int:
    """Return how many samples the convolutions need for one step."""
    samples = 1
    for kernel, stride in reversed(list(zip(config.conv_kernel, config.conv_stride, strict=True))):
        samples = (samples - 1) * stride + kernel
    return samples


def _convolutions(network: Any) -> Block:
    writes = {
        "hidden_states": Spec("sequence", network.config.conv_dim[-1], ragged=True),
        "attention_mask": Spec("mask", ragged=True),
    }
    reads = ("input_values", "attention_mask")
    return Block("convolutions", network.feature_extractor, _convolve, reads=reads, writes=writes)


def _convolve(module: Any, features: Features) -> Features:
    hidden, mask = features["input_values"][:, None], features["attention_mask"]
    for layer in module.conv_layers:
        # A step is real if the last of what its convolution reads is.
        mask = mask[:, layer.conv.kernel_size[0] - 1 :: layer.conv.stride[0]]
        if isinstance(getattr(layer, "layer_norm", None), nn.GroupNorm):
            hidden = layer.activation(_normalise(layer.layer_norm, layer.conv(hidden), mask))
        else:
            hidden = layer(hidden)
    return {"hidden_states": hidden.transpose(1, 2), "attention_mask": mask}


def _normalise(norm: nn.GroupNorm, hidden: Tensor, mask: Tensor) -> Tensor:
    """Apply a GroupNorm of one channel a group over the real steps of [N, C, T]."""
    mean = _mean(hidden, mask)
    variance = _mean((hidden - mean).square(), mask)
    scaled = (hidden - mean) / torch.sqrt(variance + norm.eps)
    return scaled * norm.weight[:, None] + norm.bias[:, None]


def _mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over the real steps, [N, C, 1]: a running sum has the same bits whatever follows."""
    last = mask - F.pad(mask[:, 1:], (0, 1))
    return (hidden.cumsum(2) * last[:, None]).sum(2, keepdim=True) / mask.sum(1)[:, None, None]


def _project(module: nn.Module, features: Features) -> Features:
    return {"hidden_states": module(features["hidden_states"])[0]}


def _locate(module: Any, features: Features) -> Features:
    # The convolution over positions reads neighbours: padding must be silent, as the end of a recording is.
    hidden = features["hidden_states"] * features["attention_mask"][:, :, None]
    hidden = hidden + module["convolution"](hidden)
    if "norm" in module:
        hidden = module["norm"](hidden)
    return {"hidden_states": module["dropout"](hidden)}


def _layer(module: nn.Module, features: Features) -> Features:
    attended = features["attention_mask"][:, None, None, :].bool()
    return {"hidden_states": module(features["hidden_states"], attended)}


def _norm(module: nn.Module, features: Features) -> Features:
    return {"hidden_states": module(features["hidden_states"])}


@torch.no_grad()
def _project_nothing(network: Any) -> None:
    nn.init.eye_(network.projector.weight)
    nn.init.zeros_(network.projector.bias)


def _stock_class() -> type[nn.Module]:
    from transformers import Wav2Vec2ForSequenceClassification

    return Wav2Vec2ForSequenceClassification


family = Wav2Vec2()
