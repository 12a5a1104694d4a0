"""Weights that lie in packages as ONNX and TensorFlow Lite, against OpenVINO's own run of those files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headstart import assets
from headstart.backbones import open_backbone
from headstart.backbones.contract import Backbone
from headstart.cut import run_blocks
from headstart.errors import MissingClient
from headstart.types import Example

pytestmark = pytest.mark.slow


def obtained(name: str, ending: str) -> tuple[Backbone, Path]:
    try:
        (file,) = assets.get(name).glob(f"*{ending}")
    except MissingClient as error:
        pytest.skip(error.message)
    return open_backbone(name), file


def outputs(file: Path, inputs: dict[str, np.ndarray], wanted: tuple[str, list[int]] | None = None) -> list[np.ndarray]:
    """Return what OpenVINO computes in float32: the model's outputs, or the one of an operator that has this shape."""
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    model: Any = core.read_model(file)
    if wanted:
        found = [one for one in model.get_ops() if one.get_type_name() == wanted[0]]
        (operation,) = (one for one in found if list(one.output(0).get_shape()) == wanted[1])
        model = openvino.Model([operation.output(0)], model.get_parameters(), "part")
    run = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return list(run(inputs).values())


def test_minilm_l3_agrees_with_openvino() -> None:
    backbone, file = obtained("minilm-l3", ".onnx")
    texts = ["A lovely film about lamps.", "Terrible.", "It charges in an hour, and lasts two days."]
    decoded = [backbone.preprocess.decode(Example(text, {"text": text})) for text in texts]
    inputs = backbone.preprocess.batch(decoded)
    found = outputs(file, {name: inputs[name] for name in ("input_ids", "attention_mask")})
    expected = next(one for one in found if one.ndim == 3)
    with torch.no_grad():
        ours = run_blocks(backbone.blocks, {name: torch.from_numpy(one) for name, one in inputs.items()})
    real = inputs["attention_mask"].astype(bool)
    np.testing.assert_allclose(ours["hidden_states"].numpy()[real], expected[real], atol=1e-5, rtol=0)


def test_minilm_l3_reads_the_vocabulary_of_minilm_l6() -> None:
    backbone, _ = obtained("minilm-l3", ".onnx")
    other = open_backbone("minilm-l6")
    for text in ("The colours of unaffordable lamps!", "naïve résumé: 3,141", "東京"):
        example = Example("one", {"text": text})
        assert backbone.preprocess.decode(example) == other.preprocess.decode(example)


def test_mobilenet_v2_agrees_with_openvino_in_the_middle_and_at_the_end() -> None:
    backbone, file = obtained("mobilenet-v2", ".tflite")
    pixels = np.random.default_rng(0).uniform(-1, 1, (1, 300, 300, 3)).astype(np.float32)
    inputs = {"pixel_values": torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())}
    places = {1: ("Add", [1, 16, 150, 150]), 17: ("Add", [1, 320, 10, 10]), 18: ("Clamp", [1, 1280, 10, 10])}
    for depth, wanted in places.items():
        with torch.no_grad():
            ours = run_blocks(backbone.blocks[:depth], inputs)["maps"].numpy()
        (expected,) = outputs(file, {"normalized_input_image_tensor": pixels}, wanted)
        np.testing.assert_allclose(ours, expected, atol=1e-4, rtol=0)
