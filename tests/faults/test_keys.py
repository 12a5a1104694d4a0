"""Two networks, or two ways to read an example, never share a key of the cache."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from headstart.backbones.contract import Backbone
from headstart.features import extract as extract_module
from headstart.preprocess.audio import AudioPreprocess
from headstart.preprocess.image import ImagePreprocess
from headstart.preprocess.text import TextPreprocess
from headstart.preprocess.views import Varied
from headstart.preprocess.waveform import WaveformPreprocess
from headstart.registry import plugin
from networks import FAMILIES, random_backbone, write_network


def fingerprints(folder: Path, settings: dict[str, Any], open_folder: Any, file: str) -> Iterator[tuple[str, str]]:
    """Yield the fingerprint for the settings as they are, and with each of them changed."""
    for name in (None, *settings):
        changed = {**settings, **({name: other(settings[name])} if name else {})}
        (folder / file).write_text(json.dumps(changed), encoding="utf-8")
        yield str(name), open_folder(folder).fingerprint


def other(value: Any) -> Any:
    """Return another value of the same kind."""
    match value:
        case bool():
            return not value
        case dict():
            return {key: one + 1 for key, one in value.items()}
        case list():
            return [one / 2 + 0.01 for one in value]
        case str():
            return value
    return value / 2 if isinstance(value, float) else value + 1


def test_every_setting_of_pictures_is_in_the_key(tmp_path: Path) -> None:
    file = "preprocessor_config.json"
    network = write_network(tmp_path / "network", "vit")
    settings = json.loads((network / file).read_text()) | {"size": {"height": 32, "width": 32}}
    settings = {name: value for name, value in settings.items() if not isinstance(value, str)}
    start = {"image_processor_type": "ViTImageProcessor"}
    found = dict(fingerprints(network, start | settings, ImagePreprocess.open, file))
    found.pop("image_processor_type")
    assert len(set(found.values())) == len(found) >= 6


def test_every_setting_of_waveforms_is_in_the_key(tmp_path: Path) -> None:
    settings = {"feature_size": 1, "sampling_rate": 16000, "padding_value": 0.5, "do_normalize": True}
    file = "preprocessor_config.json"
    settings.pop("feature_size")  # anything but one is no waveform
    found = dict(fingerprints(tmp_path, settings, WaveformPreprocess.open, file))
    assert len(set(found.values())) == len(found) == 4


def test_every_setting_of_spectrograms_is_in_the_key() -> None:
    found = [AudioPreprocess(), AudioPreprocess(window_seconds=29), AudioPreprocess(mel_bins=64)]
    assert len({one.fingerprint for one in found}) == len(found)


def test_every_word_and_setting_of_a_tokenizer_is_in_the_key(tmp_path: Path) -> None:
    network = write_network(tmp_path)
    tokenizer = json.loads((network / "tokenizer.json").read_text(encoding="utf-8"))
    settings = json.loads((network / "tokenizer_config.json").read_text(encoding="utf-8"))
    found = [TextPreprocess.open(network, steps).fingerprint for steps in (32, 31)]
    words = tokenizer["model"]["vocab"]
    words["awful"], words["bad"] = words["bad"], words["awful"]
    (network / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    found.append(TextPreprocess.open(network, 32).fingerprint)
    (network / "tokenizer_config.json").write_text(json.dumps(settings | {"do_lower_case": False}), encoding="utf-8")
    found.append(TextPreprocess.open(network, 32).fingerprint)
    assert len(set(found)) == 4


def test_every_view_is_a_preprocessing_of_its_own() -> None:
    plain = AudioPreprocess()
    assert len({plain.fingerprint, *(Varied(plain, view).fingerprint for view in range(1, 5))}) == 5


def key_of(backbone: Backbone, freeze: int) -> str:
    frozen, _ = backbone.cut(freeze)
    return json.dumps(extract_module._facts(backbone, frozen, plugin("engines", "torch"), "float16"), sort_keys=True)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_one_changed_weight_of_any_tensor_is_another_key(family: str) -> None:
    backbone = random_backbone(family)
    depth = len(backbone.blocks) - 1
    frozen, _ = backbone.cut(depth)
    found = {key_of(backbone, depth)}
    tensors = list(frozen.state_dict().values())[::3]
    with torch.no_grad():
        for tensor in tensors:
            tensor.view(-1)[-1] += 1
            found.add(key_of(backbone, depth))
    assert len(found) == len(tensors) + 1


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_depth_is_another_key(family: str) -> None:
    backbone = random_backbone(family)
    depths = range(len(backbone.blocks) + 1)
    assert len({key_of(backbone, depth) for depth in depths}) == len(depths)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_setting_of_the_network_that_has_no_weights_is_in_the_key(family: str) -> None:
    backbone = random_backbone(family)
    before = key_of(backbone, 1)
    name = next(n for n, v in backbone.config.to_dict().items() if isinstance(v, float) and "init" not in n)
    setattr(backbone.config, name, 0.123)
    assert key_of(backbone, 1) != before
