"""Wav2Vec2 in both of its forms: padding changes nothing, and every cut is the library's own network."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

from headstart.backbones import open_backbone, wav2vec2
from headstart.backbones.wav2vec2 import ShortWav2Vec2Model, samples_at_least
from headstart.cut import Features, run_blocks
from headstart.errors import CheckpointError, UnreadableFile
from headstart.preprocess.waveform import WaveformPreprocess
from headstart.types import Example
from networks import spread

FAMILY = wav2vec2.family
LENGTHS = (1600, 1000, 640)
# The published networks: base normalises channels over time and is post-norm, large normalises steps and is pre-norm.
FORMS = {
    "base": {"feat_extract_norm": "group", "do_stable_layer_norm": False, "conv_bias": False},
    "large": {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True},
}


def configuration(form: str) -> Wav2Vec2Config:
    return Wav2Vec2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, conv_dim=(16, 16, 24),
        conv_kernel=(10, 3, 2), conv_stride=(5, 2, 2), num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2,
        mask_time_prob=0.0, **FORMS[form],
    )  # fmt: skip


@pytest.fixture(params=sorted(FORMS))
def form(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def network(form: str) -> ShortWav2Vec2Model:
    torch.manual_seed(0)
    network = FAMILY.build(configuration(form)).eval()
    spread(network)
    return network


@pytest.fixture
def inputs() -> Features:
    torch.manual_seed(1)
    mask = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).long()
    return {"input_values": torch.randn(mask.shape) * mask, "attention_mask": mask}


def alone(inputs: Features, place: int) -> Features:
    return {name: tensor[place : place + 1, : LENGTHS[place]] for name, tensor in inputs.items()}


@torch.no_grad()
def test_a_padded_batch_gives_what_the_library_gives_for_each_alone(
    network: ShortWav2Vec2Model, inputs: Features
) -> None:
    ours = run_blocks(FAMILY.blocks(network), inputs)
    for place in range(len(LENGTHS)):
        theirs = network(alone(inputs, place)["input_values"]).last_hidden_state[0]
        assert int(ours["attention_mask"][place].sum()) == len(theirs)
        torch.testing.assert_close(ours["hidden_states"][place, : len(theirs)], theirs, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_library_reads_padding_in_the_base_form(inputs: Features) -> None:
    """Why saved folders are compared one example at a time."""
    torch.manual_seed(0)
    network = FAMILY.build(configuration("base")).eval()
    padded = network(**inputs).last_hidden_state[2]
    theirs = network(alone(inputs, 2)["input_values"]).last_hidden_state[0]
    assert (padded[: len(theirs)] - theirs).abs().max() > 0.01


@torch.no_grad()
def test_silence_behind_a_recording_changes_nothing_before_it(network: ShortWav2Vec2Model, inputs: Features) -> None:
    block = FAMILY.blocks(network)[0]
    for place in range(len(LENGTHS)):
        one = block(alone(inputs, place))["hidden_states"][0]
        longer = {name: torch.cat([t, torch.zeros_like(t)], 1) for name, t in alone(inputs, place).items()}
        torch.testing.assert_close(block(longer)["hidden_states"][0, : len(one)], one, atol=1e-6, rtol=0)


@torch.no_grad()
def test_every_depth_is_cut_and_kept(form: str, network: ShortWav2Vec2Model, inputs: Features, tmp_path: Path) -> None:
    blocks = FAMILY.blocks(network)
    names = ["convolutions", "projection", "positions", "layer.0", "layer.1"]
    assert [block.name for block in blocks] == names + ["layer_norm"] * (form == "large")
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    for keep in range(1, len(blocks) + 1):
        network.save_pretrained(tmp_path / "whole")
        short = FAMILY.build(configuration(form)).eval()
        short.load_state_dict(network.state_dict())
        FAMILY.truncate(short, keep)
        short.save_pretrained(tmp_path)
        again = open_backbone(tmp_path)
        expected = run_blocks(blocks[:keep], inputs)["hidden_states"]
        if form == "large" and 3 <= keep < len(blocks):
            expected = blocks[-1].module(expected)
        assert torch.equal(run_blocks(again.blocks, inputs)["hidden_states"], expected)


def test_the_mask_token_of_pre_training_is_left_out(form: str, tmp_path: Path) -> None:
    config = configuration(form)
    config.mask_time_prob = 0.05
    published = Wav2Vec2Model(config)
    assert "masked_spec_embed" in published.state_dict()
    published.save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    backbone = open_backbone(tmp_path)
    assert "masked_spec_embed" not in backbone.network.state_dict()
    assert len(backbone.blocks) == 6 if form == "large" else 5


def test_an_adapter_is_refused(tmp_path: Path) -> None:
    config = configuration("large")
    config.add_adapter = True
    Wav2Vec2Model(config).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="adapter"):
        open_backbone(tmp_path)


# Recordings


def recording(path: Path, samples: np.ndarray) -> Example:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(samples.astype("<i2").tobytes())
    return Example(path.stem, {"audio": path})


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    draw = np.random.default_rng(0)
    return [recording(tmp_path / f"{n}.wav", draw.integers(-9000, 9000, n)) for n in (1600, 900, 7)]


def test_recordings_become_what_the_library_makes_of_them(examples: list[Example]) -> None:
    extractor = Wav2Vec2FeatureExtractor(return_attention_mask=True)
    preprocess = WaveformPreprocess(extractor)
    decoded = [preprocess.decode(example) for example in examples[:2]]
    for one, scale in zip(decoded, (1600, 900), strict=True):
        assert len(one) == scale
        assert abs(float(one.mean())) < 1e-5
        assert float(one.std()) == pytest.approx(1, abs=1e-3)
    batch = preprocess.batch(decoded)
    assert batch["attention_mask"].sum(1).tolist() == [1600, 900]
    assert not batch["input_values"][1, 900:].any()
    assert [preprocess.size(example) for example in examples] == [1600, 900, 7]


def test_a_recording_shorter_than_one_step_is_filled_with_silence(examples: list[Example]) -> None:
    shortest = samples_at_least(Wav2Vec2Config())
    assert shortest == 400
    preprocess = WaveformPreprocess(Wav2Vec2FeatureExtractor(), shortest=shortest)
    assert len(preprocess.decode(examples[2])) == 400


def test_what_cannot_be_read_is_named_where_it_is_decoded(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("no sound")
    preprocess = WaveformPreprocess(Wav2Vec2FeatureExtractor())
    example = Example("bad", {"audio": tmp_path / "bad.wav"})
    assert preprocess.size(example) == 0
    with pytest.raises(UnreadableFile):
        preprocess.decode(example)


def test_the_settings_are_read_and_written_as_transformers_does(tmp_path: Path) -> None:
    Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True).save_pretrained(tmp_path)
    preprocess = WaveformPreprocess.open(tmp_path)
    assert preprocess.extractor.do_normalize is False
    (tmp_path / "again").mkdir()
    preprocess.save(tmp_path / "again")
    again = Wav2Vec2FeatureExtractor.from_pretrained(tmp_path / "again")
    assert again.to_dict() == preprocess.extractor.to_dict()
    normalising = WaveformPreprocess(Wav2Vec2FeatureExtractor())
    assert preprocess.fingerprint != normalising.fingerprint
    assert preprocess.fingerprint == WaveformPreprocess.open(tmp_path / "again").fingerprint


@pytest.mark.parametrize(
    "settings",
    [None, "{", "[]", json.dumps({"feature_size": 80}), json.dumps({"sampling_rate": "fast", "feature_size": 2})],
)
def test_settings_of_something_else_are_refused(settings: str | None, tmp_path: Path) -> None:
    if settings is not None:
        (tmp_path / "preprocessor_config.json").write_text(settings)
    with pytest.raises(CheckpointError, match="feature extractor"):
        WaveformPreprocess.open(tmp_path)
