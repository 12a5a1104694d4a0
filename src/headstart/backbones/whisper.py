"""The encoder of Whisper (Radford et al. 2022, arXiv:2212.04356).

Blocks: convolutions and positions, one for each layer, the final LayerNorm. As trained, the network reads windows
of 30 seconds. Here the window is as long as the longest example needs, and a mask says which steps hold sound:
a command of one second costs no thirty, and a head does not average over the silence behind it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import WhisperConfig
from transformers.modeling_outputs import BaseModelOutput
from transformers.models.whisper.modeling_whisper import WhisperEncoder, WhisperPreTrainedModel

from headstart.assets import cache_folder
from headstart.backbones.contract import Family, load_network
from headstart.checkpoints.contract import Checkpoint, files_of
from headstart.checkpoints.conversion import convert_once, float32
from headstart.cut import Block, Features
from headstart.data.isolation import audio_seconds
from headstart.errors import UnreadableFile
from headstart.preprocess.audio import AudioPreprocess
from headstart.types import Example, Spec

POSITIONS_A_SECOND = 50
HEAD_WIDTH = 64

_ENGLISH_VOCABULARY = 51864


class WhisperEncoderModel(WhisperPreTrainedModel):
    """The encoder under the names that it has in a whole Whisper, so that `WhisperModel` reads what it saves."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__(config)
        self.encoder = WhisperEncoder(config)
        self.post_init()

    def forward(self, input_features: Tensor, **_options: Any) -> BaseModelOutput:
        return self.encoder(input_features)


class Whisper(Family):
    name = "whisper"
    kind = "audio"
    model_types = ("whisper",)
    prefix = "encoder"
    head = "mean"
    inputs = {"input_features": Spec("input", 80), "attention_mask": Spec("mask")}

    def adjust(self, config: Any, examples: Sequence[Example]) -> None:
        """Read windows of whole seconds, as long as the longest example and at most what was trained."""
        seconds = max((_seconds(example) for example in examples), default=math.inf)
        if seconds < config.max_source_positions // POSITIONS_A_SECOND:
            config.max_source_positions = max(1, math.ceil(seconds)) * POSITIONS_A_SECOND

    def build(self, config: Any) -> WhisperEncoderModel:
        return WhisperEncoderModel(config)

    def open(self, folder: Path, config: Any) -> WhisperEncoderModel:
        window = config.max_source_positions
        written = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config.max_source_positions = written.get("max_source_positions", window)
        network = load_network(WhisperEncoderModel, folder, config)
        config.max_source_positions = window
        _shorten(network, window)
        return network

    def tiny(self) -> WhisperConfig:
        return WhisperConfig(
            d_model=32, encoder_layers=3, decoder_layers=1, encoder_attention_heads=4, decoder_attention_heads=4,
            encoder_ffn_dim=64, decoder_ffn_dim=64, vocab_size=100, max_source_positions=50, max_target_positions=20,
            pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=3,
        )  # fmt: skip

    def sample(self, config: Any, examples: int = 2) -> Features:
        columns = 2 * config.max_source_positions
        mask = torch.ones(examples, columns, dtype=torch.int64)
        mask[1:, columns // 2 :] = 0
        return {"input_features": torch.randn(examples, config.num_mel_bins, columns), "attention_mask": mask}

    def blocks(self, network: Any) -> list[Block]:
        encoder, width = network.encoder, network.config.d_model
        stream = {"hidden_states": Spec("sequence", width, normalised=False)}
        first = nn.ModuleDict({name: encoder.get_submodule(name) for name in ("conv1", "conv2", "embed_positions")})
        return [
            Block(
                "convolutions",
                first,
                _convolve,
                reads=("input_features", "attention_mask"),
                writes={**stream, "attention_mask": Spec("mask")},
            ),
            *(
                Block(f"layer.{place}", layer, _layer, reads=("hidden_states",), writes=stream)
                for place, layer in enumerate(encoder.layers)
            ),
            Block(
                "layer_norm",
                encoder.layer_norm,
                _norm,
                reads=("hidden_states",),
                writes={"hidden_states": Spec("sequence", width)},
            ),
        ]

    def truncate(self, network: Any, keep: int) -> None:
        layers = min(keep - 1, len(network.encoder.layers))
        network.encoder.layers = network.encoder.layers[:layers]
        network.config.encoder_layers = network.config.num_hidden_layers = layers

    def preprocess(self, folder: Path, config: Any) -> AudioPreprocess:
        return AudioPreprocess(
            window_seconds=config.max_source_positions // POSITIONS_A_SECOND, mel_bins=config.num_mel_bins
        )

    def convert(self, folder: Path) -> Path | None:
        """Read the `model.bin` of a Whisper in CTranslate2's format."""
        weights = [file for file in files_of(folder, ".bin") if file.name == "model.bin"]
        if not weights:
            return None
        return convert_once(
            weights[0], reader="ctranslate2", convert=convert, files={}, cache=cache_folder() / "converted"
        )


def _seconds(example: Example) -> float:
    try:
        return audio_seconds(Path(example.inputs["audio"]))
    except UnreadableFile:
        # It is named and left out where it is decoded.
        return 0.0


def _shorten(network: Any, positions: int) -> None:
    encoder = network.encoder
    kept = encoder.embed_positions.weight[:positions].detach().clone()
    encoder.embed_positions = nn.Embedding.from_pretrained(kept)
    for module in (network, encoder):
        module.config.max_source_positions = positions
    encoder.max_source_positions = positions


def _convolve(module: Any, features: Features) -> Features:
    hidden = F.gelu(module["conv1"](features["input_features"]))
    hidden = F.gelu(module["conv2"](hidden)).permute(0, 2, 1)
    mask = features["attention_mask"]
    # One step is two columns of the spectrogram; pipelines of transformers give the mask for each sample instead.
    return {
        "hidden_states": hidden + module["embed_positions"].weight,
        "attention_mask": mask[:, :: mask.shape[1] // hidden.shape[1]],
    }


def _layer(module: nn.Module, features: Features) -> Features:
    return {"hidden_states": module(features["hidden_states"], None)}


def _norm(module: nn.Module, features: Features) -> Features:
    return {"hidden_states": module(features["hidden_states"])}


def convert(checkpoint: Checkpoint) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return a whole WhisperForConditionalGeneration, encoder and decoder.

    CTranslate2 stacks the weights of query, key and value, and those of key and value across attention.

    Raises:
        KeyError: a weight is missing.
    """
    found = {name: tensor for name, tensor in checkpoint.tensors.items() if tensor.ndim}
    tensors = {
        "model.encoder.embed_positions.weight": float32(found["encoder/position_encodings/encodings"]),
        "model.decoder.embed_positions.weight": float32(found["decoder/position_encodings/encodings"]),
        "model.decoder.embed_tokens.weight": float32(found["decoder/embeddings/weight"]),
    }
    for conv in ("conv1", "conv2"):
        tensors |= _renamed(found, f"encoder/{conv}", f"model.encoder.{conv}")
    for side in ("encoder", "decoder"):
        tensors |= _renamed(found, f"{side}/layer_norm", f"model.{side}.layer_norm")
        for place in range(_layers(found, side)):
            tensors |= _layer_tensors(found, f"{side}/layer_{place}", f"model.{side}.layers.{place}")
    return _configuration(found), tensors


def _layer_tensors(found: dict[str, np.ndarray], theirs: str, ours: str) -> dict[str, np.ndarray]:
    tensors = {
        **_renamed(found, f"{theirs}/self_attention/layer_norm", f"{ours}.self_attn_layer_norm"),
        **_stacked(found, f"{theirs}/self_attention/linear_0", f"{ours}.self_attn", ("q_proj", "k_proj", "v_proj")),
        **_renamed(found, f"{theirs}/self_attention/linear_1", f"{ours}.self_attn.out_proj"),
        **_renamed(found, f"{theirs}/ffn/layer_norm", f"{ours}.final_layer_norm"),
        **_renamed(found, f"{theirs}/ffn/linear_0", f"{ours}.fc1"),
        **_renamed(found, f"{theirs}/ffn/linear_1", f"{ours}.fc2"),
    }
    if f"{theirs}/attention/linear_0/weight" in found:
        tensors |= _renamed(found, f"{theirs}/attention/layer_norm", f"{ours}.encoder_attn_layer_norm")
        tensors |= _renamed(found, f"{theirs}/attention/linear_0", f"{ours}.encoder_attn.q_proj")
        tensors |= _stacked(found, f"{theirs}/attention/linear_1", f"{ours}.encoder_attn", ("k_proj", "v_proj"))
        tensors |= _renamed(found, f"{theirs}/attention/linear_2", f"{ours}.encoder_attn.out_proj")
    return tensors


def _renamed(found: dict[str, np.ndarray], theirs: str, ours: str) -> dict[str, np.ndarray]:
    weight, bias = ("gamma", "beta") if theirs.endswith("norm") else ("weight", "bias")
    return {
        f"{ours}.weight": float32(found[f"{theirs}/{weight}"]),
        f"{ours}.bias": float32(found[f"{theirs}/{bias}"]),
    }


def _stacked(found: dict[str, np.ndarray], theirs: str, ours: str, parts: tuple[str, ...]) -> dict[str, np.ndarray]:
    tensors = {}
    for leaf in ("weight", "bias"):
        for part, piece in zip(parts, np.split(found[f"{theirs}/{leaf}"], len(parts)), strict=True):
            # Whisper's keys have no bias; CTranslate2 stores zeros in its place.
            if (part, leaf) != ("k_proj", "bias"):
                tensors[f"{ours}.{part}.{leaf}"] = float32(piece)
    return tensors


def _layers(found: dict[str, np.ndarray], side: str) -> int:
    return sum(name.startswith(f"{side}/layer_") and name.endswith("ffn/linear_0/bias") for name in found)


def _configuration(found: dict[str, np.ndarray]) -> dict[str, Any]:
    width, mel_bins, _ = found["encoder/conv1/weight"].shape
    vocabulary = len(found["decoder/embeddings/weight"])
    # The multilingual vocabulary has one token more before the special ones.
    end = 50256 if vocabulary == _ENGLISH_VOCABULARY else 50257
    return {
        "model_type": "whisper",
        "architectures": ["WhisperForConditionalGeneration"],
        "d_model": width,
        "encoder_layers": _layers(found, "encoder"),
        "decoder_layers": _layers(found, "decoder"),
        "encoder_attention_heads": width // HEAD_WIDTH,
        "decoder_attention_heads": width // HEAD_WIDTH,
        "encoder_ffn_dim": len(found["encoder/layer_0/ffn/linear_0/bias"]),
        "decoder_ffn_dim": len(found["decoder/layer_0/ffn/linear_0/bias"]),
        "num_mel_bins": mel_bins,
        "max_source_positions": len(found["encoder/position_encodings/encodings"]),
        "max_target_positions": len(found["decoder/position_encodings/encodings"]),
        "vocab_size": vocabulary,
        "bos_token_id": end,
        "eos_token_id": end,
        "pad_token_id": end,
        "decoder_start_token_id": end + 1,
    }


family = Whisper()
