"""Views of training examples: the same each time, cached like all features, used where they were measured to help."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from headstart import api
from headstart import model as model_module
from headstart.cut import FrozenPart
from headstart.data.dataset import open_dataset
from headstart.errors import UsageError
from headstart.features.extract import FeatureSet
from headstart.preprocess.contract import Preprocess
from headstart.preprocess.views import Varied
from headstart.training.adapt import Splits
from headstart.training.loop import Labelled
from headstart.training.recipe import Recipe
from headstart.training.views import choose_views, with_views
from headstart.types import Example
from networks import write_network
from samples import write_photos, write_reviews


class Given(Preprocess):
    """Gives one array for every example."""

    fingerprint = "given"

    def __init__(self, kind: str, array: Any) -> None:
        self.kind, self.array = kind, array

    def decode(self, example: Example) -> Any:
        return self.array

    def batch(self, decoded: Any) -> dict[str, np.ndarray]:
        return {"x": np.stack(decoded)}

    def save(self, folder: Path) -> None:
        raise NotImplementedError


EXAMPLE = Example("one", {})
RANDOM = np.random.default_rng(0)
SPECTROGRAM = {
    "input_features": RANDOM.normal(size=(80, 200)).astype(np.float32),
    "attention_mask": np.arange(200) < 120,
}


def array_of(decoded: Any) -> np.ndarray:
    return decoded["input_features"] if isinstance(decoded, dict) else decoded


@pytest.mark.parametrize(
    ("kind", "decoded"),
    [
        ("image", RANDOM.normal(size=(3, 32, 48)).astype(np.float32)),
        ("audio", SPECTROGRAM),
        ("audio", RANDOM.normal(size=4000).astype(np.float32)),
    ],
    ids=["image", "spectrogram", "waveform"],
)
def test_a_view_is_the_same_each_time_and_another_for_each_number(kind: str, decoded: Any) -> None:
    views = [array_of(Varied(Given(kind, decoded), number).decode(EXAMPLE)) for number in (1, 2, 1)]
    original = array_of(decoded)
    np.testing.assert_array_equal(views[0], views[2])
    for view in views:
        assert (view.shape, view.dtype) == (original.shape, original.dtype)
        assert np.isfinite(view).all()
        assert not np.array_equal(view, original)
    assert not np.array_equal(views[0], views[1])
    prints = {Varied(Given(kind, decoded), number).fingerprint for number in (1, 2)} | {"given"}
    assert len(prints) == 3


def test_silence_after_a_recording_stays_as_it_is() -> None:
    varied = Varied(Given("audio", SPECTROGRAM), 1).decode(EXAMPLE)
    np.testing.assert_array_equal(varied["input_features"][:, 120:], SPECTROGRAM["input_features"][:, 120:])
    np.testing.assert_array_equal(varied["attention_mask"], SPECTROGRAM["attention_mask"])


def test_pictures_of_few_examples_have_views_and_others_have_none(tmp_path: Path) -> None:
    few = open_dataset(write_photos(tmp_path / "few", per_class=3))
    many = open_dataset(write_photos(tmp_path / "many", per_class=12))
    texts = open_dataset(write_reviews(tmp_path / "reviews.csv", 4))
    assert [choose_views(Recipe(), data) for data in (few, many, texts)] == [4, 1, 1]
    assert choose_views(Recipe(views=2), many) == 2
    assert choose_views(Recipe(views=1), few) == 1
    assert choose_views(Recipe(folds=3), few) == 1
    for recipe, data in ((Recipe(views=2), texts), (Recipe(views=2, folds=3), few)):
        with pytest.raises(UsageError, match="no views"):
            choose_views(recipe, data)


class Rows:
    """Features whose values tell the row, as long as the row's number says."""

    def __init__(self, first: int, long: int) -> None:
        self.first, self.long = first, long

    def batch(self, indices: Any) -> dict[str, torch.Tensor]:
        values = torch.tensor([self.first + int(index) for index in indices]).float()
        return {"vector": values, "steps": values[:, None, None].expand(-1, self.long, 2)}


def test_views_stand_behind_the_training_examples_in_any_order() -> None:
    examples = tuple(Example(str(number), {}, split="train" if number % 2 else "test") for number in range(6))
    train = tuple(example for example in examples if example.split == "train")
    views = (FeatureSet(train, (), {}, Rows(100, 5)), FeatureSet(train, (), {}, Rows(200, 3)))
    features = FeatureSet(examples, (), {}, Rows(0, 4), views=views)
    plain = Labelled(features, np.array([1, 3, 5]), np.array([7, 8, 9]))
    labelled = with_views(Splits(plain, None, None)).train
    assert len(labelled) == 9
    order = np.array([8, 0, 4, 3, 1, 7, 2, 5, 6])
    ((batch, targets),) = labelled.batches(9, order)
    assert batch["vector"].tolist() == [202, 1, 101, 100, 3, 201, 5, 102, 200]
    assert targets.tolist() == [9, 7, 8, 7, 8, 8, 9, 9, 7]
    assert batch["steps"].shape == (9, 5, 2)
    assert batch["steps"][0, :, 0].tolist() == [202, 202, 202, 0, 0]
    assert with_views(Splits(replace(plain, features=replace(features, views=())), None, None)).train is not labelled


@pytest.mark.slow
@pytest.mark.parametrize("freeze", ["all", 2])
def test_a_fit_computes_each_view_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, freeze: int | str) -> None:
    seen, forward = [], FrozenPart.forward

    def counted(self: FrozenPart, inputs: dict[str, Any]) -> Any:
        seen.append(len(next(iter(inputs.values()))))
        return forward(self, inputs)

    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(model_module, "_verify", lambda *_: None)
    network = str(write_network(tmp_path / "network", "vit"))
    data = write_photos(tmp_path / "photos", per_class=12)
    settings = {"backbone": network, "keep": "all", "freeze": freeze, "epochs": 1, "baselines": False}
    monkeypatch.setattr(FrozenPart, "forward", counted)
    model = api.fit(data, output_dir=tmp_path / "one", views=3, **settings)
    train = len(open_dataset(data).split("train"))
    assert model.record.cache["computed"] == 24 + 2 * train
    before = sum(seen)
    again = api.fit(data, output_dir=tmp_path / "two", views=3, seed=0, **settings)
    assert again.record.cache["computed"] == 0
    assert again.record.metrics == model.record.metrics
    assert sum(seen) - before < before
