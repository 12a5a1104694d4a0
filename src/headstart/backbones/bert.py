"""BERT (Devlin et al. 2018, arXiv:1810.04805) and its descendants with the same network, such as MiniLM.

Blocks: embeddings, then one for each layer. A post-norm network: every block's output is normalised.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from headstart.backbones.contract import Family, StockForm, load_network
from headstart.cut import Block, Features
from headstart.preprocess.text import TextPreprocess
from headstart.types import Spec


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

    def stock_form(self, head: str, task: str, config: Any) -> StockForm | None:
        """BertForSequenceClassification reads tanh(dense(first token)): our head `pooler`."""
        if (head, task) != ("pooler", "text-classification"):
            return None
        return StockForm(_stock_class, {"dense": "bert.pooler.dense", "linear": "classifier"})


def _stock_class() -> type[nn.Module]:
    from transformers import BertForSequenceClassification

    return BertForSequenceClassification


family = Bert()
