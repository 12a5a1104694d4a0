"""RoBERTa (Liu et al. 2019, arXiv:1907.11692): the network of BERT, pre-trained longer and on more text.

Blocks: embeddings, then one for each layer. Positions are counted from the padding id on, so that a network of
514 positions reads texts of 512 tokens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from headstart.backbones.bert import Bert
from headstart.backbones.contract import StockForm, load_network
from headstart.cut import Features
from headstart.preprocess.text import TextPreprocess


class Roberta(Bert):
    name = "roberta"
    model_types = ("roberta",)
    prefix = "roberta"

    def build(self, config: Any) -> Any:
        from transformers import RobertaModel

        return RobertaModel(config, add_pooling_layer=False)

    def open(self, folder: Path, config: Any) -> Any:
        from transformers import RobertaModel

        return load_network(RobertaModel, folder, config, add_pooling_layer=False)

    def tiny(self) -> Any:
        from transformers import RobertaConfig

        return RobertaConfig(
            vocab_size=100, hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64,
            max_position_embeddings=66, type_vocab_size=1, layer_norm_eps=1e-5,
        )  # fmt: skip

    def sample(self, config: Any, examples: int = 2) -> Features:
        ids = torch.randint(config.pad_token_id + 1, config.vocab_size, (examples, 12))
        mask = torch.ones_like(ids)
        mask[1:, 7:] = 0
        return {
            "input_ids": ids.where(mask.bool(), config.pad_token_id),
            "token_type_ids": torch.zeros_like(ids),
            "attention_mask": mask,
        }

    def preprocess(self, folder: Path, config: Any) -> TextPreprocess:
        return TextPreprocess.open(folder, config.max_position_embeddings - config.pad_token_id - 1)

    def convert(self, folder: Path) -> Path | None:
        return None

    def stock_form(self, head: str, task: str, config: Any) -> StockForm | None:
        """RobertaForSequenceClassification has a dense layer and tanh of its own: our head `pooler`."""
        if (head, task) == ("tokens", "token-classification"):
            return StockForm(_token_class, {"linear": "classifier"})
        if (head, task) != ("pooler", "text-classification"):
            return None
        return StockForm(_stock_class, {"dense": "classifier.dense", "linear": "classifier.out_proj"})


def _stock_class() -> type[nn.Module]:
    from transformers import RobertaForSequenceClassification

    return RobertaForSequenceClassification


def _token_class() -> type[nn.Module]:
    from transformers import RobertaForTokenClassification

    return RobertaForTokenClassification


family = Roberta()
