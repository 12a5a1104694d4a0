"""Head first, then the thawed blocks, with several seeds from one set of features."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from headstart.cut import TrainablePart
from headstart.errors import HeadstartError
from headstart.events import EpochEnded
from headstart.features.cache import FeatureCache
from headstart.features.extract import FeatureSet, extract
from headstart.heads.contract import make_head
from headstart.registry import plugin
from headstart.tasks.classification import Classification
from headstart.training.adapt import Splits, adapt, labelled_splits
from headstart.training.folds import left_linear
from headstart.training.loop import DEFAULT_EPOCHS, predict_logits
from headstart.training.recipe import Recipe
from networks import numbers, random_backbone
from samples import LABELS

TASK = Classification("text", LABELS[:2], [1.0, 1.0])
RECIPE = Recipe(epochs=2, batch_size=4, block_learning_rate=1e-3)


def prepared(folder: Path, freeze: int | str = 2) -> tuple[TrainablePart, FeatureSet]:
    backbone = random_backbone()
    frozen, blocks = backbone.cut(freeze)
    examples = [
        *numbers(10), *numbers(4, start=10, split="validation"), *numbers(4, start=14, split="test"),
    ]  # fmt: skip
    features = extract(
        examples, backbone=backbone, frozen=frozen, engine=plugin("engines", "torch"), cache=FeatureCache(folder)
    )
    return TrainablePart(blocks, make_head("mean", backbone.outputs, 2)), features


def splits_of(features: FeatureSet, *, validation: bool = True) -> Splits:
    splits = labelled_splits(features, TASK.encode(features.examples))
    return splits if validation else Splits(splits.train, None, splits.test)


def run(part: TrainablePart, splits: Splits, recipe: Recipe = RECIPE):
    events: list[EpochEnded] = []
    adapted = adapt(part, splits, TASK, recipe, events.append)
    assert [event for event in events if isinstance(event, EpochEnded)] == adapted.history
    return adapted


def test_splits_follow_the_examples(tmp_path: Path) -> None:
    _, features = prepared(tmp_path)
    splits = splits_of(features)
    for name in ("train", "validation", "test"):
        part = getattr(splits, name)
        assert [features.examples[i].split for i in part.indices] == [name] * len(part)
        assert [TASK.labels[t] for t in part.targets] == [features.examples[i].target for i in part.indices]
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (10, 4, 4)


def test_the_head_comes_first(tmp_path: Path) -> None:
    part, features = prepared(tmp_path)
    adapted = run(part, splits_of(features))
    stages = [event.stage for event in adapted.history]
    assert stages == sorted(stages)
    assert set(stages) == {"head", "thawed"}


def test_with_nothing_thawed_the_solution_is_all(tmp_path: Path) -> None:
    part, features = prepared(tmp_path, "all")
    adapted = run(part, splits_of(features))
    assert {event.stage for event in adapted.history} == {"head"}
    assert adapted.probe is None
    assert adapted.seed_scores == []


def test_the_probe_is_the_state_before_blocks_were_thawed(tmp_path: Path) -> None:
    part, features = prepared(tmp_path)
    blocks = copy.deepcopy(part.blocks.state_dict())
    adapted = run(part, splits_of(features, validation=False))
    assert adapted.probe is not None
    assert all(torch.equal(tensor, blocks[name]) for name, tensor in adapted.probe.blocks.state_dict().items())
    assert any(not torch.equal(tensor, blocks[name]) for name, tensor in part.blocks.state_dict().items())


def test_seeds_start_from_the_same_probe_and_the_best_on_validation_is_kept(tmp_path: Path) -> None:
    part, features = prepared(tmp_path)
    splits = splits_of(features)
    losses = []
    for seed in range(3):
        alone, _ = prepared(tmp_path)
        run(alone, splits, RECIPE.replace(seed=seed))
        losses.append(TASK.metrics(predict_logits(alone, splits.validation), splits.validation.targets)["eval_loss"])
    adapted = run(part, splits, RECIPE.replace(seeds=3))
    found = TASK.metrics(predict_logits(part, splits.validation), splits.validation.targets)
    assert len(adapted.seed_scores) == 3
    assert found["eval_loss"] == min(losses)


def test_without_validation_a_few_epochs_are_trained_whatever_the_recipe_asks(tmp_path: Path) -> None:
    part, features = prepared(tmp_path)
    adapted = run(part, splits_of(features, validation=False), RECIPE.replace(epochs=DEFAULT_EPOCHS + 20))
    assert [event.epoch for event in adapted.history] == list(range(DEFAULT_EPOCHS + 1))
    assert adapted.seed_scores == []


def test_a_second_seed_computes_no_feature(tmp_path: Path) -> None:
    prepared(tmp_path)
    _, features = prepared(tmp_path)
    assert (features.computed, features.hits) == (0, 18)


def test_training_needs_training_examples(tmp_path: Path) -> None:
    _, features = prepared(tmp_path)
    only_test = FeatureSet(
        tuple(e for e in features.examples if e.split == "test"), (), features.specs, features.source
    )
    with pytest.raises(HeadstartError):
        labelled_splits(only_test, np.zeros(4, np.int64))


def test_blocks_that_have_moved_are_told_from_those_that_were_put_back(tmp_path: Path) -> None:
    part, features = prepared(tmp_path)
    adapted = run(part, splits_of(features))
    assert adapted.probe is not None
    part.load_state_dict(adapted.probe.state_dict())
    assert left_linear(part, adapted)
    with torch.no_grad():
        next(iter(part.blocks[0].parameters())).add_(1e-3)
    assert not left_linear(part, adapted)
    head_only, features = prepared(tmp_path, "all")
    assert left_linear(head_only, run(head_only, splits_of(features)))
