"""One pooled vector an example after every block, from one pass: what measuring a depth costs least with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from headstart.backbones.contract import Backbone
from headstart.cut import Block, Features, FrozenPart
from headstart.heads.contract import Head, features_of, make_head
from headstart.types import Spec

# Heads whose pooling has no weights, by the kind of features that they read.
POOLINGS = {"sequence": ("mean", "cls"), "map": ("average",), "vector": ("linear",)}


def pooled_depths(backbone: Backbone) -> FrozenPart:
    """Return a frozen part of all blocks that gives, after each of them, what heads would pool there.

    It writes a vector [N, D] for every depth and pooling, called as `pooled_name` says, and nothing else crosses.
    """
    blocks: list[Block] = []
    for depth, block in enumerate(backbone.blocks, 1):
        outputs = backbone.outputs_at(depth)
        blocks += [block, *(_pooling(name, depth, outputs) for name in poolings(backbone, depth))]
    specs = dict(backbone.inputs)
    for block in blocks:
        specs.update(block.writes)
    writes = [name for block in blocks if isinstance(block.module, Head) for name in block.writes]
    return FrozenPart(blocks, writes=writes, specs=specs)


def poolings(backbone: Backbone, depth: int) -> tuple[str, ...]:
    """Return the names of the heads that pool after block `depth`; the first step of a recording says nothing."""
    names = POOLINGS[features_of(backbone.outputs_at(depth))[1].kind]
    return tuple(name for name in names if not (name == "cls" and backbone.kind == "audio"))


def pooled_name(pooling: str, depth: int) -> str:
    """Return the name of the vector that the head `pooling` reads after block `depth`: `mean.3`."""
    return f"{pooling}.{depth}"


def _pooling(name: str, depth: int, outputs: Mapping[str, Spec]) -> Block:
    head = make_head(name, outputs, 1)
    written = pooled_name(name, depth)
    width = head.pooled_width(features_of(outputs)[1].width)
    reads = [head.features, *([head.mask] if head.mask else [])]
    return Block(written, head, partial(_pool, written), reads=reads, writes={written: Spec("vector", width)})


def _pool(written: str, head: Head, features: Features) -> Features:
    return {written: head.pooled(features)}
