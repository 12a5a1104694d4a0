"""MobileNetV2 out of a detector, and cut short."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import MobileNetV2Config, MobileNetV2Model

from headstart.backbones import mobilenet_v2, open_backbone
from headstart.checkpoints.contract import Checkpoint
from headstart.cut import run_blocks
from networks import spread, write_network

SCOPE = "FeatureExtractor/MobilenetV2"


@pytest.fixture
def network() -> MobileNetV2Model:
    torch.manual_seed(0)
    network = MobileNetV2Model(MobileNetV2Config()).eval()
    spread(network)
    return network


def as_detector(network: MobileNetV2Model) -> Checkpoint:
    """Return what TensorFlow Lite makes of a network: BatchNorm folded, and a detector's head behind it."""
    tensors, operators = {}, []
    for scope, name in mobilenet_v2._names():
        layer = network.get_submodule(name)
        norm = layer.normalization
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        weight = (layer.convolution.weight * scale[:, None, None, None]).detach().numpy()
        depthwise = layer.convolution.groups > 1
        tensors[f"{scope}/weight"] = weight.transpose(1, 2, 3, 0) if depthwise else weight.transpose(0, 2, 3, 1)
        tensors[f"{scope}/bias"] = (norm.bias - norm.running_mean * scale).detach().numpy()
        operators.append(_operator("dequantize", [f"{scope}/bias"], f"{scope}/bias_dequantize"))
        operators.append(
            _operator(
                "depthwise_conv_2d" if depthwise else "conv_2d",
                ["x", f"{scope}/weight", f"{scope}/bias_dequantize"],
                f"{SCOPE}/{scope}/Relu6;{SCOPE}/{scope}/Conv2D",
            )
        )
    operators.append(_operator("conv_2d", ["x", "Conv/weight", "Conv/bias"], "BoxPredictor_0/ClassPredictor/BiasAdd"))
    return Checkpoint(tensors, {"operators": operators})


def _operator(name: str, inputs: list[str], output: str) -> dict[str, object]:
    return {"operator": name, "inputs": inputs, "outputs": [output]}


@torch.no_grad()
def test_a_detector_s_backbone_computes_the_same_with_batch_norm_folded(network: MobileNetV2Model) -> None:
    config, tensors = mobilenet_v2.convert(as_detector(network))
    assert config["layer_norm_eps"] == network.config.layer_norm_eps
    state = network.state_dict()
    assert tensors.keys() == state.keys()
    assert all(tensors[name].shape == tuple(tensor.shape) for name, tensor in state.items())
    again = MobileNetV2Model(MobileNetV2Config()).eval()
    again.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
    pixels = torch.randn(1, 3, 65, 64)
    theirs, ours = network(pixels).last_hidden_state, again(pixels).last_hidden_state
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=0)


def test_a_missing_convolution_is_named(network: MobileNetV2Model) -> None:
    checkpoint = as_detector(network)
    checkpoint.metadata["operators"][:] = checkpoint.metadata["operators"][:-2]
    with pytest.raises(KeyError, match="Conv_1"):
        mobilenet_v2.convert(checkpoint)


@pytest.mark.parametrize("keep", [1, 5, 17, 18])
@torch.no_grad()
def test_a_folder_holds_what_was_kept(keep: int, tmp_path: Path) -> None:
    backbone = open_backbone(write_network(tmp_path, "mobilenet-v2"))
    pixels = {"pixel_values": torch.randn(2, 3, 32, 32)}
    expected = run_blocks(backbone.blocks[:keep], pixels)["maps"]
    backbone.truncate(keep)
    backbone.network.save_pretrained(tmp_path)
    again = open_backbone(tmp_path)
    assert len(again.blocks) == keep
    assert torch.equal(run_blocks(again.blocks, pixels)["maps"], expected)
    assert (again.family.stock_form("average", "image-classification", again.config) is None) == (keep < 18)
