"""One pass gives what a head pools after every block."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from headstart.features.cache import FeatureCache
from headstart.features.depths import pooled_depths, pooled_name, poolings
from headstart.features.extract import extract
from headstart.heads.contract import make_head
from headstart.registry import plugin
from networks import FAMILIES, numbers, random_backbone


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_each_depth_is_pooled_as_a_head_pools_it_there(family: str, tmp_path: Path) -> None:
    backbone, examples, cache = random_backbone(family), numbers(5), FeatureCache(tmp_path)
    settings = {"backbone": backbone, "engine": plugin("engines", "torch"), "cache": cache, "storage": "float32"}
    pooled = extract(examples, frozen=pooled_depths(backbone), **settings)
    vectors = pooled.batch(range(5))
    assert pooled.computed == 5
    assert len(vectors) == sum(len(poolings(backbone, depth)) for depth in range(1, len(backbone.blocks) + 1))
    for depth in range(1, len(backbone.blocks) + 1):
        whole = extract(examples, frozen=backbone.cut(depth, depth)[0], **settings).batch(range(5))
        for pooling in poolings(backbone, depth):
            head = make_head(pooling, backbone.outputs_at(depth), 2).eval()
            with torch.no_grad():
                expected = head.pooled(whole)
            torch.testing.assert_close(vectors[pooled_name(pooling, depth)], expected, atol=1e-5, rtol=1e-5)


def test_a_second_look_at_the_depths_computes_nothing(tmp_path: Path) -> None:
    settings = {"engine": plugin("engines", "torch"), "cache": FeatureCache(tmp_path)}
    extract(numbers(5), backbone=random_backbone(), frozen=pooled_depths(random_backbone()), **settings)
    again = random_backbone()
    found = extract(numbers(6), backbone=again, frozen=pooled_depths(again), **settings)
    assert (found.hits, found.computed) == (5, 1)


def test_the_first_step_of_a_recording_is_not_read() -> None:
    assert poolings(random_backbone("whisper"), 1) == ("mean",)
    assert poolings(random_backbone("bert"), 1) == ("mean", "cls")
