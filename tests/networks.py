"""Very small networks with random weights, as folders in hub layout or in memory: nothing is obtained for a test."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from headstart.backbones import open_backbone
from headstart.backbones.contract import Backbone, Family
from headstart.cut import Features
from headstart.preprocess.contract import Preprocess
from headstart.registry import plugins
from headstart.types import Example
from samples import LABELS, THINGS, WORDS, write_photos, write_reviews, write_sounds

FAMILIES: dict[str, Family] = plugins("backbones")
SIDE = 32  # pixels
_RANDOM = threading.Lock()  # examples are decoded in several threads, and torch has one random state


class Numbers(Preprocess):
    """Inputs made up from the number in an example's text: no file and no tokenizer."""

    def __init__(self, family: Family, config: object) -> None:
        self.kind = family.kind
        self.fingerprint = "numbers"
        self._family, self._config = family, config

    def decode(self, example: Example) -> Features:
        with _RANDOM:
            torch.manual_seed(int(example.inputs["text"]))
            sample = self._family.sample(self._config, 2)
        steps = max(tensor.shape[1] for tensor in sample.values()) * self.size(example) // 12
        return {
            name: tensor[0][:steps] if self._family.inputs[name].ragged else tensor[1]
            for name, tensor in sample.items()
        }

    def batch(self, decoded: Sequence[Features]) -> dict[str, np.ndarray]:
        pad = torch.nn.utils.rnn.pad_sequence
        return {name: pad([one[name] for one in decoded], batch_first=True).numpy() for name in decoded[0]}

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    def size(self, example: Example) -> int:
        return 3 + int(example.inputs["text"]) % 9


def random_backbone(name: str = "bert", *, seed: int = 0) -> Backbone:
    """Return a tiny network in memory whose examples are numbers."""
    family = FAMILIES[name]
    config = family.tiny()
    with _RANDOM:
        torch.manual_seed(seed)
        network = family.build(config).eval()
        spread(network)
    return Backbone(
        name=f"tiny-{name}", family=family, network=network, preprocess=Numbers(family, config), source=Path()
    )


def numbers(count: int, *, start: int = 0, classes: int = 2, split: str | None = "train") -> list[Example]:
    """Return `count` examples that `random_backbone` reads, the classes in turn."""
    return [
        Example(f"number {n}", {"text": str(n)}, target=LABELS[n % classes], split=split)
        for n in range(start, start + count)
    ]


@torch.no_grad()
def spread(network: torch.nn.Module) -> None:
    """Give random weights the size that trained ones have; fresh ones are so small that all examples look alike."""
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.dim() < 2 and tensor.is_floating_point():
            tensor.add_(0.1 * torch.randn_like(tensor))
        elif tensor.is_floating_point():
            tensor.normal_(0, 1.5 / tensor[0].numel() ** 0.5)


def write_network(folder: Path, name: str = "bert", *, seed: int = 0) -> Path:
    """Write a tiny network of the family with its preprocessing in hub layout."""
    family = FAMILIES[name]
    torch.manual_seed(seed)
    network = family.build(family.tiny()).eval()
    spread(network)
    network.save_pretrained(folder)
    {"text": _write_tokenizer, "image": _write_image_processor, "audio": _write_feature_extractor}[family.kind](
        folder, network.config
    )
    return folder


def open_network(folder: Path, name: str = "bert", *, seed: int = 0) -> Backbone:
    """Write a tiny network to `folder` and open it."""
    return open_backbone(write_network(folder, name, seed=seed))


def write_examples(folder: Path, kind: str, *, classes: int = 2, per_class: int = 12) -> Path:
    """Write labelled data of a kind that tiny networks can be adapted to."""
    if kind == "text":
        return write_reviews(folder / "reviews.csv", classes * per_class, classes=classes)
    write = {"image": write_photos, "audio": write_sounds}[kind]
    return write(folder / kind, classes=classes, per_class=per_class)


def _write_tokenizer(folder: Path, config: object) -> None:
    from transformers import BertTokenizerFast

    words = sorted({word for words in WORDS for word in words} | set(THINGS) | {"a", "like", "the", "number"})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *"0123456789", *(f"##{n}" for n in range(10))]
    (folder / "vocab.txt").write_text("\n".join([*vocabulary, ",", "."]), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=64).save_pretrained(folder)


def _write_image_processor(folder: Path, config: object) -> None:
    settings = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": SIDE, "width": SIDE},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings), encoding="utf-8")


def _write_feature_extractor(folder: Path, config: object) -> None:
    from transformers import FEATURE_EXTRACTOR_MAPPING

    FEATURE_EXTRACTOR_MAPPING[type(config)]().save_pretrained(folder)
