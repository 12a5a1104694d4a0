"""What a head promises: it reads one kind of features, pools them to a vector and maps that to outputs.

A head never knows the family below it. A head is one file with a subclass of `Head` called `head`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from headstart.errors import ModelError
from headstart.registry import plugin, plugins
from headstart.types import Spec


class Head(nn.Module):
    """Normalise (a raw residual stream only), pool to [N, D], drop out, and map linearly to [N, K].

    Attributes:
        reads: the kind of features. per_step: it gives each step an output of its own, [N, T, K].

    Args:
        outputs: what the backbone gives, by name: the features and perhaps their mask.
        classes: K.
        dropout: share of pooled values set to zero in training.
    """

    name: ClassVar[str]
    reads: ClassVar[str]
    per_step: ClassVar[bool] = False

    def __init__(self, outputs: Mapping[str, Spec], classes: int, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.features, spec = features_of(outputs)
        self.mask = next((name for name, other in outputs.items() if other.kind == "mask"), None)
        if spec.kind != self.reads:
            raise ModelError(
                f"the head `{self.name}` reads a {self.reads}, and this backbone gives a {spec.kind}",
                "choose one of: " + ", ".join(names_for(outputs)),
            )
        self.norm = nn.Identity() if spec.normalised else nn.LayerNorm(spec.width, spec.epsilon)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(self.pooled_width(spec.width), classes)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def pooled_width(self, width: int) -> int:
        """Return the width of the pooled vector for features of `width`."""
        return width

    @abstractmethod
    def pool(self, features: Tensor, mask: Tensor | None) -> Tensor:
        """Return [N, D] from normalised features; `mask` [N, T] is 1 where a step is real."""

    def pooled(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the vector the linear layer reads, [N, D]."""
        hidden = self.norm(features[self.features].float())
        return self.pool(hidden, features[self.mask] if self.mask else None)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        return self.linear(self.dropout(self.pooled(features)))


def features_of(outputs: Mapping[str, Spec]) -> tuple[str, Spec]:
    """Return name and shape of the features among a backbone's outputs."""
    return next((name, spec) for name, spec in outputs.items() if spec.kind != "mask")


def names_for(outputs: Mapping[str, Spec]) -> list[str]:
    """Return the names of the heads that can read these outputs."""
    kind = features_of(outputs)[1].kind
    return [name for name, head in plugins("heads").items() if head.reads == kind]


def make_head(name: str, outputs: Mapping[str, Spec], classes: int, *, dropout: float = 0.1) -> Head:
    """Return a new head called `name`.

    Raises:
        ModelError: there is no such head, or it reads another kind of features.
    """
    return plugin("heads", name)(outputs, classes, dropout=dropout)


def masked_mean(features: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mean over the real steps, [N, T, D] to [N, D]."""
    if mask is None:
        return features.mean(1)
    weights = mask.to(features.dtype)[:, :, None]
    return torch.sum(features * weights, 1) / weights.sum(1).clamp(min=1)
