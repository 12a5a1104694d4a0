"""Training on features: the same bits from a cache as without one, and only what helps is kept."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from headstart.backbones.contract import Backbone
from headstart.cut import Features, FrozenPart, TrainablePart
from headstart.events import EpochEnded
from headstart.features.cache import FeatureCache
from headstart.features.extract import BATCH, FeatureSet, extract, inputs_of
from headstart.heads.contract import make_head
from headstart.registry import plugin
from headstart.tasks.classification import Classification
from headstart.training.loop import (
    STRENGTHS,
    Labelled,
    TimeLimit,
    pooled_vectors,
    predict_logits,
    solve_head,
    train_thawed,
)
from headstart.training.recipe import Recipe
from headstart.types import Example
from networks import FAMILIES, numbers, random_backbone
from samples import LABELS

TASK = Classification("text", LABELS[:2], [1.0, 1.0])
# Eighteen blocks are eighteen depths.
BY_DEPTH = [pytest.param(name, marks=pytest.mark.slow if name == "mobilenet-v2" else ()) for name in sorted(FAMILIES)]
RECIPE = Recipe(epochs=3, batch_size=4, dropout=0.2, block_learning_rate=1e-3, storage="float32")


class Uncached:
    """The frozen part, run anew for every batch that is asked for, in the batches in which a cache would be filled."""

    def __init__(self, examples: tuple[Example, ...], backbone: Backbone, frozen: FrozenPart) -> None:
        assert len(examples) <= BATCH, "one batch fills the cache"
        order = sorted(range(len(examples)), key=lambda i: (-backbone.preprocess.size(examples[i]), examples[i].name))
        self._row = {place: row for row, place in enumerate(order)}
        self._inputs = inputs_of(backbone, [backbone.preprocess.decode(examples[i]) for i in order])
        self._frozen = frozen

    def batch(self, indices: np.ndarray) -> Features:
        rows = [self._row[int(i)] for i in indices]
        found = {name: tensor[rows] for name, tensor in self._frozen(self._inputs).items()}
        specs = self._frozen.specs
        longest = max((int(t.sum(1).max()) for name, t in found.items() if specs[name].kind == "mask"), default=None)
        return {name: t[:, :longest].contiguous() if specs[name].ragged else t for name, t in found.items()}


def part_of(backbone: Backbone, freeze: int, *, dropout: float = 0.2) -> tuple[FrozenPart, TrainablePart]:
    frozen, blocks = backbone.cut(freeze)
    torch.manual_seed(5)
    head = make_head(backbone.family.head, backbone.outputs, 2, dropout=dropout)
    torch.nn.init.normal_(head.linear.weight, std=0.1)
    return frozen, TrainablePart(blocks, head)


def features_of(backbone: Backbone, frozen: FrozenPart, folder: Path, count: int = 14) -> FeatureSet:
    return extract(
        numbers(count), backbone=backbone, frozen=frozen, engine=plugin("engines", "torch"),
        cache=FeatureCache(folder), storage="float32",
    )  # fmt: skip


def labelled(features: FeatureSet, *, start: int = 0, stop: int = 10) -> Labelled:
    indices = np.arange(start, stop)
    return Labelled(features, indices, TASK.encode([features.examples[i] for i in indices]))


def train(
    part: TrainablePart, features: FeatureSet, recipe: Recipe = RECIPE, *, seed: int = 0, validate: bool = True
) -> list[EpochEnded]:
    validation = labelled(features, start=10, stop=14) if validate else None
    return list(train_thawed(part, TASK, recipe, train=labelled(features), validation=validation, seed=seed))


def assert_same_bits(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert not different


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainablePart, FeatureSet]:
    """A small text network cut in its middle, with its features; copy the part before training it."""
    backbone = random_backbone("bert")
    frozen, part = part_of(backbone, 2)
    return part, features_of(backbone, frozen, tmp_path_factory.mktemp("cache"))


@pytest.fixture
def part(setting: tuple[TrainablePart, FeatureSet]) -> TrainablePart:
    return copy.deepcopy(setting[0])


@pytest.fixture
def features(setting: tuple[TrainablePart, FeatureSet]) -> FeatureSet:
    return setting[1]


@pytest.mark.parametrize("family", BY_DEPTH)
def test_a_cached_run_is_bit_identical_to_an_uncached_one_at_every_depth(family: str, tmp_path: Path) -> None:
    for freeze in range(len(random_backbone(family).blocks)):
        states = []
        for cached in (True, False):
            backbone = random_backbone(family)
            frozen, part = part_of(backbone, freeze)
            features = features_of(backbone, frozen, tmp_path)
            if not cached:
                features = replace(features, source=Uncached(features.examples, backbone, frozen))
            before = copy.deepcopy(part.state_dict())
            train(part, features, RECIPE.replace(epochs=2), validate=False)
            assert any(not torch.equal(before[name], tensor) for name, tensor in part.state_dict().items())
            states.append(part.state_dict())
        assert_same_bits(*states)


def test_the_same_seed_gives_the_same_bits_and_another_gives_others(part: TrainablePart, features: FeatureSet) -> None:
    states = []
    for seed in (0, 0, 1):
        one = copy.deepcopy(part)
        torch.rand(seed + 3)  # whatever was drawn before must not matter
        train(one, features, seed=seed, validate=False)
        states.append(one.state_dict())
    assert_same_bits(states[0], states[1])
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_training_lowers_the_loss(part: TrainablePart, features: FeatureSet) -> None:
    events = train(part, features, RECIPE.replace(epochs=8, patience=99), validate=False)
    assert events[-1].train_loss < 0.95 * events[1].train_loss


def test_where_training_does_not_help_the_state_before_is_kept(part: TrainablePart, features: FeatureSet) -> None:
    before = copy.deepcopy(part.state_dict())
    ruinous = RECIPE.replace(learning_rate=1e3, block_learning_rate=1e3, warmup=0.0, patience=99)
    events = train(part, features, ruinous)
    assert [event.epoch for event in events] == [0, 1, 2, 3]
    assert [event.best for event in events] == [True, False, False, False]
    assert_same_bits(before, part.state_dict())


def test_the_best_epoch_is_kept(part: TrainablePart, features: FeatureSet) -> None:
    events = train(part, features, RECIPE.replace(epochs=6, patience=99))
    best = min(events, key=lambda event: event.validation["eval_loss"])
    validation = labelled(features, start=10, stop=14)
    found = TASK.metrics(predict_logits(part, validation), validation.targets, intervals=False)
    assert found == best.validation
    assert [event for event in events if event.best][-1] == best


def test_training_stops_once_validation_no_longer_improves(part: TrainablePart, features: FeatureSet) -> None:
    ruinous = RECIPE.replace(learning_rate=1e3, block_learning_rate=1e3, warmup=0.0, epochs=50, patience=2)
    assert [event.epoch for event in train(part, features, ruinous)] == [0, 1, 2]


def test_without_validation_the_last_state_is_kept(part: TrainablePart, features: FeatureSet) -> None:
    events = train(part, features, validate=False)
    assert [event.epoch for event in events] == [0, 1, 2, 3]
    assert all(not event.validation for event in events)
    assert not any(event.best for event in events)


def test_a_fresh_part_has_no_state_worth_keeping(part: TrainablePart, features: FeatureSet) -> None:
    part.fresh = True
    assert [event.epoch for event in train(part, features)] == [1, 2, 3]


def test_nothing_frozen_changes_and_everything_thawed_does(tmp_path: Path) -> None:
    backbone = random_backbone("efficientnet-lite")
    frozen, part = part_of(backbone, 2)
    features = features_of(backbone, frozen, tmp_path)
    before = copy.deepcopy(backbone.network.state_dict())
    train(part, features, validate=False)
    thawed = {id(p) for p in part.parameters()}
    for name, tensor in backbone.network.named_parameters():
        assert torch.equal(tensor, before[name]) != (id(tensor) in thawed), name
    for name, tensor in backbone.network.named_buffers():
        assert torch.equal(tensor, before[name]), "BatchNorm keeps the statistics of its pre-training"


def test_lower_blocks_learn_more_slowly_than_the_head(
    part: TrainablePart, features: FeatureSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[float]] = []
    optimizer = torch.optim.AdamW

    class Watched(optimizer):
        def step(self, *arguments: object) -> None:
            seen.append([group["lr"] for group in self.param_groups])
            super().step(*arguments)

    monkeypatch.setattr(torch.optim, "AdamW", Watched)
    recipe = Recipe(epochs=4, batch_size=4, learning_rate=1e-2, block_learning_rate=1e-3, layer_decay=0.5)
    train(part, features, recipe, validate=False)
    head, upper, lower = np.array(seen).T
    np.testing.assert_allclose(upper / head, 0.1)
    np.testing.assert_allclose(lower / head, 0.05)
    assert len(seen) == 4 * 3
    assert head.max() == pytest.approx(1e-2, rel=0.05)
    assert head[0] < head.max()
    assert head[-1] < 0.1 * head.max()


@pytest.mark.parametrize("balance", [True, False])
def test_class_weights_move_the_prediction_to_the_rare_class(
    part: TrainablePart, features: FeatureSet, balance: bool
) -> None:
    rare = replace(labelled(features), targets=np.array([0] * 9 + [1]))
    task = Classification("text", LABELS[:2], [10 / 18, 5.0])
    recipe = RECIPE.replace(balance=balance, epochs=6)
    list(train_thawed(part, task, recipe, train=rare, validation=None, seed=0))
    logits = predict_logits(part, rare)
    share = float((logits.argmax(1) == 1).mean())
    assert share >= 0.1 if balance else share <= 0.1


def test_a_time_limit_ends_an_epoch_in_its_middle(part: TrainablePart, features: FeatureSet) -> None:
    limit = TimeLimit(0.0)
    events = list(train_thawed(part, TASK, RECIPE, train=labelled(features), validation=None, seed=0, limit=limit))
    assert [event.epoch for event in events] == [0, pytest.approx(1 / 3)]
    assert limit.over()


def separable(part: TrainablePart, features: FeatureSet) -> Iterator[Labelled]:
    """Yield train and validation whose classes a linear head can tell apart."""
    everything = Labelled(features, np.arange(len(features)), np.zeros(len(features), np.int64))
    vectors = pooled_vectors(part, everything)
    targets = (vectors[:, 0] > np.median(vectors[:, 0])).astype(np.int64)
    for indices in (np.arange(0, 10), np.arange(10, 14)):
        yield Labelled(features, indices, targets[indices])


def test_the_head_is_solved_with_the_strength_that_validation_chooses(
    part: TrainablePart, features: FeatureSet
) -> None:
    torch.nn.init.zeros_(part.head.linear.weight)
    training, validation = separable(part, features)
    events = list(solve_head(part, TASK, RECIPE, train=training, validation=validation))
    assert [event.stage for event in events] == ["head"] * len(STRENGTHS)
    logits = predict_logits(part, training)
    assert (logits.argmax(1) == training.targets).mean() >= 0.9
    best = min(event.validation["eval_loss"] for event in events)
    found = TASK.metrics(predict_logits(part, validation), validation.targets, intervals=False)
    assert found["eval_loss"] == pytest.approx(best, rel=1e-3)


def test_a_probe_alone_learns_from_validation_too_once_that_has_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = random_backbone("bert")
    frozen, probe = part_of(backbone, len(backbone.blocks))
    features = features_of(backbone, frozen, tmp_path)
    torch.nn.init.zeros_(probe.head.linear.weight)
    training, validation = separable(probe, features)
    sizes: list[int] = []
    solve = TASK.solve

    def watched(vectors: np.ndarray, targets: np.ndarray, **options: object) -> tuple[np.ndarray, np.ndarray]:
        sizes.append(len(vectors))
        return solve(vectors, targets, **options)

    monkeypatch.setattr(TASK, "solve", watched)
    list(solve_head(probe, TASK, RECIPE, train=training, validation=validation))
    assert sizes == [10] * len(STRENGTHS) + [14]


def test_a_head_that_was_trained_before_stays_where_it_does_better(part: TrainablePart, features: FeatureSet) -> None:
    training, validation = separable(part, features)
    with torch.no_grad():
        part.head.linear.weight.zero_()
        part.head.linear.weight[1, 0] = 50.0
        centre = float(np.median(pooled_vectors(part, training)[:, 0]))
        part.head.linear.bias.copy_(torch.tensor([50.0 * centre, 0.0]))
    before = part.head.linear.weight.clone()
    events = list(solve_head(part, TASK, RECIPE, train=training, validation=validation))
    assert [event.epoch for event in events] == list(range(len(STRENGTHS) + 1))
    best = min(events, key=lambda event: event.validation["eval_loss"])
    assert torch.equal(before, part.head.linear.weight) == (best.epoch == 0)


def test_without_validation_the_default_strength_is_used(part: TrainablePart, features: FeatureSet) -> None:
    training, _ = separable(part, features)
    assert list(solve_head(part, TASK, RECIPE, train=training, validation=None)) == []
    assert (predict_logits(part, training).argmax(1) == training.targets).mean() >= 0.8
