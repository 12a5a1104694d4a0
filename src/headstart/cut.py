"""The cut: blocks over named tensors, what crosses between two of them, and the two parts on either side.

Shapes: N examples, T steps, D width, C channels, H W size, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
import xxhash
from torch import Tensor, nn

from headstart.errors import ModelError
from headstart.types import Spec

Features = dict[str, Tensor]


class Block(nn.Module):
    """The smallest part that is frozen or trained as one: an embedding, a transformer layer, a residual block.

    Args:
        module: the library's own module; its parameters are this block's.
        run: computes the written tensors from all named tensors so far.
        reads: names that `run` needs.
        writes: names and shapes of what it returns; a name written again replaces the earlier tensor.
    """

    def __init__(
        self,
        name: str,
        module: nn.Module,
        run: Callable[[nn.Module, Features], Features],
        *,
        reads: Sequence[str],
        writes: Mapping[str, Spec],
    ) -> None:
        super().__init__()
        self.name = name
        self.module = module
        self.reads = tuple(reads)
        self.writes = dict(writes)
        self._run = run

    def forward(self, features: Features) -> Features:
        """Return only the tensors that this block writes."""
        return self._run(self.module, features)

    def fingerprint(self) -> str:
        """Return a hash of the block's weights: names, shapes, types and bytes."""
        return hash_tensors(f"{self.name} {type(self.module).__name__}", self.module.state_dict())


def hash_tensors(text: str, tensors: Mapping[str, Tensor]) -> str:
    """Return a hash of `text` and of the names, shapes, types and bytes of tensors."""
    digest = xxhash.xxh3_128(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def to_device(features: Features, device: torch.device) -> Features:
    """Return the tensors on `device`; those that are there already are not copied."""
    return {name: tensor.to(device) for name, tensor in features.items()}


def run_blocks(blocks: Iterable[nn.Module], features: Features) -> Features:
    """Run `blocks` in order over a copy of `features` and return all named tensors."""
    features = dict(features)
    for block in blocks:
        features.update(block(features))
    return features


def live_names(blocks: Sequence[Block], outputs: Iterable[str]) -> tuple[str, ...]:
    """Return the names that must exist before `blocks` run so that they, and a reader of `outputs`, can.

    This is the cut: what crosses it is exactly what is still read above it.
    """
    live = set(outputs)
    for block in reversed(blocks):
        live = (live - set(block.writes)) | set(block.reads)
    return tuple(sorted(live))


class FrozenPart(nn.Module):
    """The blocks below the cut. Frozen means evaluation mode as well: no dropout, BatchNorm fixed, no gradient.

    Attributes:
        reads: input names. writes: names that cross the cut. specs: shapes of both.
    """

    def __init__(self, blocks: Sequence[Block], *, writes: Sequence[str], specs: Mapping[str, Spec]) -> None:
        super().__init__()
        self.blocks: Any = nn.ModuleList(blocks)
        self.reads = live_names(blocks, writes)
        self.writes = tuple(writes)
        self.specs = {name: specs[name] for name in {*self.reads, *self.writes}}
        self.requires_grad_(False)
        super().train(False)

    @property
    def device(self) -> torch.device:
        """Where the weights are; a part without weights is in main memory."""
        return next((parameter.device for parameter in self.parameters()), torch.device("cpu"))

    def train(self, mode: bool = True) -> FrozenPart:
        """Stay in evaluation mode whatever is asked: one pass in training mode would move BatchNorm."""
        return self

    @torch.no_grad()
    def forward(self, inputs: Features) -> Features:
        """Return what crosses the cut for a batch of inputs, both by name."""
        missing = [name for name in self.reads if name not in inputs and name not in OPTIONAL_INPUTS]
        if missing:
            raise ModelError(f"the frozen part needs the input `{missing[0]}`", "it reads: " + ", ".join(self.reads))
        features = run_blocks(self.blocks, inputs)
        return {name: features[name] for name in self.writes if name in features}

    def fingerprint(self) -> str:
        """Return a hash of all frozen weights."""
        return xxhash.xxh3_128(" ".join(block.fingerprint() for block in self.blocks).encode()).hexdigest()


# Segment ids are all zero unless two texts are paired; an embedding fills them in.
OPTIONAL_INPUTS = frozenset({"token_type_ids"})


class TrainablePart(nn.Module):
    """The kept blocks above the cut and the head: what is trained, on cached features.

    Args:
        fresh: the blocks have random weights (a from-scratch control), so that their BatchNorm must learn as well.
    """

    def __init__(self, blocks: Sequence[Block], head: nn.Module, *, fresh: bool = False) -> None:
        super().__init__()
        self.fresh = fresh
        self.blocks: Any = nn.ModuleList(blocks)
        self.head: Any = head
        self.requires_grad_(True)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next((parameter.device for parameter in self.parameters()), torch.device("cpu"))

    def train(self, mode: bool = True) -> TrainablePart:
        """Switch dropout on or off; BatchNorm of pre-trained blocks keeps its statistics.

        A few hundred examples estimate them worse than the pre-training did.
        """
        super().train(mode)
        for module in [] if self.fresh else self.blocks.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def forward(self, features: Features) -> Tensor:
        """Return the head's raw outputs, [N, K] for a classification."""
        return self.head(run_blocks(self.blocks, features))
