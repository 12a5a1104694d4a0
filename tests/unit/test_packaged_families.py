"""Families whose weights come in packages, on small random networks: conversions, windows, saved folders."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, Dinov2Config, Dinov2Model, WhisperConfig, WhisperForConditionalGeneration

from headstart.backbones import dinov2, efficientnet_lite, open_backbone, whisper
from headstart.backbones.efficientnet_lite import EfficientNetLiteConfig, EfficientNetLiteModel
from headstart.checkpoints.contract import Checkpoint
from headstart.cut import run_blocks
from headstart.types import Example

SECOND = 16_000


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def recording(folder: Path, seconds: float) -> Path:
    path = folder / f"{seconds}.wav"
    noise = np.random.default_rng(0).integers(-9000, 9000, int(seconds * SECOND)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SECOND)
        file.writeframes(noise.tobytes())
    return path


def tiny_whisper() -> WhisperForConditionalGeneration:
    config = WhisperConfig(
        vocab_size=60,
        d_model=64,
        encoder_layers=2,
        decoder_layers=1,
        encoder_attention_heads=1,
        decoder_attention_heads=1,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_source_positions=150,
        max_target_positions=20,
        pad_token_id=1,
        bos_token_id=1,
        eos_token_id=1,
        decoder_start_token_id=2,
    )
    return WhisperForConditionalGeneration(config).eval()


def test_whisper_reads_windows_as_long_as_the_longest_example(tmp_path: Path) -> None:
    tiny_whisper().save_pretrained(tmp_path)
    examples = [Example(str(s), {"audio": recording(tmp_path, s)}) for s in (0.3, 1.2)]
    broken = Example("absent", {"audio": tmp_path / "absent.wav"})
    backbone = open_backbone(tmp_path, examples=[*examples, broken])
    assert backbone.config.max_source_positions == 100
    decoded = [backbone.preprocess.decode(example) for example in examples]
    inputs = {name: torch.from_numpy(array) for name, array in backbone.preprocess.batch(decoded).items()}
    assert inputs["input_features"].shape == (2, 80, 200)
    with torch.no_grad():
        features = run_blocks(backbone.blocks, inputs)
        whole = backbone.network(inputs["input_features"]).last_hidden_state
    assert torch.equal(features["hidden_states"], whole)
    assert features["attention_mask"].sum(1).tolist() == [15, 60]


def test_transformers_reads_a_shortened_and_truncated_whisper(tmp_path: Path) -> None:
    tiny_whisper().save_pretrained(tmp_path)
    example = Example("short", {"audio": recording(tmp_path, 0.5)})
    backbone = open_backbone(tmp_path, examples=[example])
    backbone.truncate(2)
    saved = tmp_path / "saved"
    backbone.network.save_pretrained(saved)
    backbone.preprocess.save(saved)
    features = torch.from_numpy(backbone.preprocess.decode(example)["input_features"])[None]
    with torch.no_grad():
        expected = backbone.network(features).last_hidden_state
        encoder = AutoModel.from_pretrained(saved).eval().encoder
        assert torch.equal(encoder(features).last_hidden_state, expected)
        assert torch.equal(open_backbone(saved).network(features).last_hidden_state, expected)


def test_whisper_converts_what_ctranslate2_stacks() -> None:
    network = tiny_whisper()
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    config, tensors = whisper.convert(Checkpoint(as_ctranslate2(state)))
    shape = ("d_model", "encoder_layers", "decoder_layers", "encoder_ffn_dim", "vocab_size", "max_source_positions")
    assert {name: config[name] for name in shape} == {name: getattr(network.config, name) for name in shape}
    assert state.keys() - tensors.keys() == {"proj_out.weight"}
    assert not tensors.keys() - state.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, state[name])


def as_ctranslate2(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the weights of `tiny_whisper` under CTranslate2's names, as its converter stacks them."""
    found = {"decoder/embeddings/weight": state["model.decoder.embed_tokens.weight"]}

    def put(theirs: str, ours: str) -> None:
        leaves = ("gamma", "beta") if theirs.endswith("norm") else ("weight", "bias")
        for leaf, name in zip(leaves, ("weight", "bias"), strict=True):
            found[f"{theirs}/{leaf}"] = state[f"{ours}.{name}"]

    def stack(theirs: str, ours: str, parts: str) -> None:
        weights = [state[f"{ours}.{part}_proj.weight"] for part in parts]
        biases = [state.get(f"{ours}.{p}_proj.bias", np.zeros(64, np.float32)) for p in parts]
        found[f"{theirs}/weight"], found[f"{theirs}/bias"] = np.concatenate(weights), np.concatenate(biases)

    for side, layers in (("encoder", 2), ("decoder", 1)):
        found[f"{side}/position_encodings/encodings"] = state[f"model.{side}.embed_positions.weight"]
        put(f"{side}/layer_norm", f"model.{side}.layer_norm")
        for place in range(layers):
            theirs, ours = f"{side}/layer_{place}", f"model.{side}.layers.{place}"
            put(f"{theirs}/self_attention/layer_norm", f"{ours}.self_attn_layer_norm")
            stack(f"{theirs}/self_attention/linear_0", f"{ours}.self_attn", "qkv")
            put(f"{theirs}/self_attention/linear_1", f"{ours}.self_attn.out_proj")
            put(f"{theirs}/ffn/layer_norm", f"{ours}.final_layer_norm")
            put(f"{theirs}/ffn/linear_0", f"{ours}.fc1")
            put(f"{theirs}/ffn/linear_1", f"{ours}.fc2")
    theirs, ours = "decoder/layer_0/attention", "model.decoder.layers.0.encoder_attn"
    put(f"{theirs}/layer_norm", f"{ours}_layer_norm")
    put(f"{theirs}/linear_0", f"{ours}.q_proj")
    stack(f"{theirs}/linear_1", ours, "kv")
    put(f"{theirs}/linear_2", f"{ours}.out_proj")
    for conv in ("conv1", "conv2"):
        put(f"encoder/{conv}", f"model.encoder.{conv}")
    return found


def test_dinov2_converts_what_the_exporter_folded() -> None:
    config = Dinov2Config(
        hidden_size=64, num_hidden_layers=1, num_attention_heads=1, image_size=28, patch_size=14, use_mask_token=False
    )
    network = Dinov2Model(config).eval()
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    exported = {}
    for name, tensor in state.items():
        if name == "embeddings.position_embeddings":
            exported["backbone.embeddings.Concat_6.0"] = tensor[:, :1]
            exported["backbone.embeddings.Reshape_1.0"] = tensor[:, 1:]
        elif tensor.ndim == 2:
            exported[f"backbone.{name.removesuffix('weight')}MatMul.1"] = tensor.T
        else:
            exported[f"backbone.{name}"] = tensor
    exported["decoder.final_conv.bias"] = np.zeros(1, np.float32)
    written, tensors = dinov2.convert(Checkpoint(exported))
    assert written["num_hidden_layers"] == 1
    assert written["image_size"] == 28
    assert tensors.keys() == state.keys()
    for name, tensor in state.items():
        np.testing.assert_array_equal(tensors[name], tensor)


def small_efficientnet(head_width: int | None = 24) -> EfficientNetLiteModel:
    layers = [[3, 1, 1, 8], [5, 2, 2, 12], [3, 1, 2, 12]]
    return EfficientNetLiteModel(EfficientNetLiteConfig(stem_width=8, layers=layers, head_width=head_width)).eval()


@pytest.mark.parametrize("keep", range(1, 6))
def test_efficientnet_lite_saves_what_it_keeps(keep: int, tmp_path: Path) -> None:
    network, family = small_efficientnet(), efficientnet_lite.family
    pixels = torch.randn(2, 3, 33, 32)
    with torch.no_grad():
        expected = run_blocks(family.blocks(network)[:keep], {"pixel_values": pixels})["maps"]
        family.truncate(network, keep)
        assert len(family.blocks(network)) == keep
        network.save_pretrained(tmp_path)
        family.register()
        again = AutoModel.from_pretrained(tmp_path).eval()
        assert torch.equal(again(pixels).last_hidden_state, expected)
    assert again.width == expected.shape[1]


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [(224, 3, 2, (0, 1)), (113, 3, 2, (1, 1)), (14, 5, 2, (1, 2)), (7, 5, 1, (2, 2)), (7, 1, 1, (0, 0))],
)
def test_padding_is_that_of_tensorflow(size: int, kernel: int, stride: int, padding: tuple[int, int]) -> None:
    assert efficientnet_lite._padding(size, kernel, stride) == padding
