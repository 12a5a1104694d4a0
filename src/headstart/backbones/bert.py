"""BERT (Devlin et al. 2018, arXiv:1810.04805) and its descendants with the same network, such as MiniLM.

Blocks: embeddings, then one for each layer. A post-norm network: every block's output is normalised.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from headstart.backbones.contract import Family, StockForm, load_network
from headstart.checkpoints.contract import Checkpoint, files_of, reading
from headstart.checkpoints.conversion import convert_once, float32
from headstart.cut import Block, Features
from headstart.place import cache_folder
from headstart.preprocess.text import TextPreprocess
from headstart.types import Spec

# Of all English BERT with this vocabulary, `bert-base-uncased`.
_TOKENIZER = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512}
# Heads are 64 wide; MiniLM (Wang et al. 2020, arXiv:2002.10957) divides its 384 among 12 nevertheless.
_HEAD_WIDTH, _HEAD_WIDTH_OF_MINILM, _WIDTH_OF_MINILM = 64, 32, 384
_OURS = re.compile(r"(?:^|\.)((?:embeddings|encoder\.layer\.\d+)\..+)")


def convert(checkpoint: Checkpoint) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Rename the initialisers of an ONNX file that holds a BERT; what is no part of it is left out.

    Raises:
        KeyError: a weight is missing.
    """
    tensors = {}
    for theirs, tensor in checkpoint.tensors.items():
        if found := _OURS.search(theirs):
            name, matmul, _ = found[1].partition("MatMul.1")
            tensors[f"{name}weight" if matmul else name] = float32(tensor.T if matmul else tensor)
    vocabulary, width = tensors["embeddings.word_embeddings.weight"].shape
    return {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": vocabulary,
        "hidden_size": width,
        "num_hidden_layers": sum(name.endswith("intermediate.dense.bias") for name in tensors),
        "num_attention_heads": width // (_HEAD_WIDTH_OF_MINILM if width == _WIDTH_OF_MINILM else _HEAD_WIDTH),
        "intermediate_size": len(tensors["encoder.layer.0.intermediate.dense.bias"]),
        "max_position_embeddings": len(tensors["embeddings.position_embeddings.weight"]),
        "type_vocab_size": len(tensors["embeddings.token_type_embeddings.weight"]),
    }, tensors


def _embed(module: nn.Module, features: Features) -> Features:
    return {"hidden_states": module(input_ids=features["input_ids"], token_type_ids=features.get("token_type_ids"))}


def _layer(module: nn.Module, features: Features) -> Features:
    attended = features["attention_mask"][:, None, None, :].bool()
    return {"hidden_states": module(features["hidden_states"], attended)}


class Bert(Family):
    name = "bert"
    kind = "text"
    model_types = ("bert",)
    prefix = "bert"
    head = "mean"
    inputs = {
        "input_ids": Spec("input", ragged=True),
        "token_type_ids": Spec("input", ragged=True),
        "attention_mask": Spec("mask", ragged=True),
    }

    def build(self, config: Any) -> Any:
        from transformers import BertModel

        return BertModel(config, add_pooling_layer=False)

    def open(self, folder: Path, config: Any) -> Any:
        from transformers import BertModel

        return load_network(BertModel, folder, config, add_pooling_layer=False)

    def tiny(self) -> Any:
        from transformers import BertConfig

        return BertConfig(
            vocab_size=100, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64,
            max_position_embeddings=64,
        )  # fmt: skip

    def sample(self, config: Any, examples: int = 2) -> Features:
        ids = torch.randint(1, config.vocab_size, (examples, 12))
        mask = torch.ones_like(ids)
        mask[1:, 7:] = 0
        return {"input_ids": ids * mask, "token_type_ids": torch.zeros_like(ids), "attention_mask": mask}

    def blocks(self, network: Any) -> list[Block]:
        hidden = {"hidden_states": Spec("sequence", network.config.hidden_size, ragged=True)}
        embeddings = Block(
            "embeddings", network.embeddings, _embed, reads=("input_ids", "token_type_ids"), writes=hidden
        )
        layers = [
            Block(f"layer.{i}", layer, _layer, reads=("hidden_states", "attention_mask"), writes=hidden)
            for i, layer in enumerate(network.encoder.layer)
        ]
        return [embeddings, *layers]

    def truncate(self, network: Any, keep: int) -> None:
        network.encoder.layer = network.encoder.layer[: keep - 1]
        network.config.num_hidden_layers = keep - 1

    def preprocess(self, folder: Path, config: Any) -> TextPreprocess:
        return TextPreprocess.open(folder, config.max_position_embeddings)

    def convert(self, folder: Path) -> Path | None:
        """Read an ONNX file that lies beside the `vocab.txt` of its tokenizer."""
        weights, vocabulary = files_of(folder, ".onnx"), folder / "vocab.txt"
        if len(weights) != 1 or not vocabulary.is_file():
            return None
        with reading(vocabulary):
            words = vocabulary.read_text(encoding="utf-8")
        return convert_once(
            weights[0],
            reader="onnx_initialisers",
            convert=convert,
            files={"vocab.txt": words, "tokenizer_config.json": _TOKENIZER},
            cache=cache_folder() / "converted",
        )

    def default_depths(self, blocks: int) -> tuple[int, int]:
        """Thaw the two uppermost layers: see docs/decisions/0008-default-depths.md for what was measured."""
        return blocks, max(blocks - 2, 0)

    def stock_form(self, head: str, task: str, config: Any) -> StockForm | None:
        """BertForSequenceClassification reads tanh(dense(first token)): our head `pooler`."""
        if (head, task) == ("tokens", "token-classification"):
            return StockForm(_token_class, {"linear": "classifier"})
        if (head, task) != ("pooler", "text-classification"):
            return None
        return StockForm(_stock_class, {"dense": "bert.pooler.dense", "linear": "classifier"})


def _stock_class() -> type[nn.Module]:
    from transformers import BertForSequenceClassification

    return BertForSequenceClassification


def _token_class() -> type[nn.Module]:
    from transformers import BertForTokenClassification

    return BertForTokenClassification


family = Bert()
