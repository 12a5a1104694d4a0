"""Make transformers know what headstart saves. Import this before `AutoModel`, `AutoModelFor...` or `pipeline`.

Networks that are our own are registered with the Auto classes. A head that transformers has no class for is read by
`HeadstartForClassification`:

    import headstart.hub
    from transformers import pipeline

    model = headstart.hub.HeadstartForClassification.from_pretrained("my-model")
    classify = pipeline("text-classification", model=model, tokenizer="my-model")
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput

from headstart.cut import run_blocks
from headstart.model import Model, load
from headstart.registry import plugins


class HeadstartForClassification(PreTrainedModel):
    """An adapted model under the interface of transformers' classifiers; `forward` returns `logits`."""

    config_class = PreTrainedConfig
    _supports_sdpa = True

    def __init__(self, model: Model) -> None:
        super().__init__(model.backbone.config)
        self.network = model.backbone.network
        self.head = model.head
        self._blocks = model.backbone.blocks
        self._task = model.task

    @classmethod
    def from_pretrained(cls, folder: str | Path, **options: Any) -> HeadstartForClassification:  # type: ignore[override]
        """Read a folder that headstart saved."""
        return cls(load(folder)).eval()

    def forward(self, labels: torch.Tensor | None = None, **inputs: Any) -> SequenceClassifierOutput:
        """Return logits, and the task's loss where `labels` are given."""
        tensors = {name: value for name, value in inputs.items() if isinstance(value, torch.Tensor)}
        logits = self.head(run_blocks(self._blocks, tensors))
        loss = None if labels is None else self._task.loss(logits, labels, balance=False)
        return SequenceClassifierOutput(loss=loss, logits=logits)


for _family in plugins("backbones").values():
    _family.register()
