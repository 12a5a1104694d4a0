"""A ranking measures every depth on what may be learnt from, confirms by training, and says what it left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headstart.data.dataset import Dataset, open_dataset
from headstart.errors import CheckpointError, DataError, ModelError, UsageError
from headstart.events import Note
from headstart.features.cache import FeatureCache, open_cache
from headstart.ranking import measuring, search
from headstart.ranking.candidates import Candidate, Ranking, backbones_by, in_order, recommend
from headstart.tasks.classification import Classification
from headstart.tasks.tagging import Tagging
from headstart.training.recipe import Recipe
from headstart.types import Example
from networks import write_network
from samples import write_reviews, write_table


def candidate(
    score: float, *, trained: int = 100, keep: int = 3, name: str = "a", confirmed: bool = False
) -> Candidate:
    """Return one whose standard error is about .05."""
    return Candidate(
        name, keep, keep, "mean", score, score - 0.098, score + 0.098, seconds=1.0, bytes=1, confirmed=confirmed,
        trained=trained,
    )  # fmt: skip


def test_the_smallest_within_a_standard_error_of_the_best_is_recommended() -> None:
    best, near, far = candidate(0.80, trained=900), candidate(0.76, trained=200), candidate(0.70, trained=1)
    assert recommend([best, far, near]) is near
    assert in_order([far, near, best]) == (near, best, far)


def test_of_equal_size_the_one_read_lower_is_recommended() -> None:
    assert recommend([candidate(0.8, keep=4), candidate(0.78, keep=2)]).keep == 2


def test_what_was_really_trained_comes_before_what_was_only_probed() -> None:
    probed, trained = candidate(0.9), candidate(0.7, confirmed=True)
    assert in_order([probed, trained]) == (trained, probed)


def test_backbones_are_ordered_by_their_best() -> None:
    found = [candidate(0.5, name="a"), candidate(0.7, name="b"), candidate(0.9, name="a")]
    assert backbones_by(found, lambda one: one.score) == ["a", "b"]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_SHORT_LIST", 3)
    monkeypatch.setattr(search, "_MOST_EPOCHS", 2)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return open_dataset(write_reviews(tmp_path / "reviews.csv", 64), forms=[Classification.form])


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FeatureCache]:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    with open_cache() as cache:
        yield cache


def ranked(
    dataset: Dataset, cache: FeatureCache, *backbones: Path | str, minutes: float = 10.0, heard: list | None = None
) -> Ranking:
    heard = [] if heard is None else heard
    recipe, names = Recipe(), [str(name) for name in backbones]
    return search.rank_backbones(dataset, recipe, backbones=names, cache=cache, minutes=minutes, listener=heard.append)


def test_every_depth_is_measured_and_the_best_are_trained(
    dataset: Dataset, cache: FeatureCache, tmp_path: Path
) -> None:
    first, second = write_network(tmp_path / "one", seed=1), write_network(tmp_path / "two", seed=2)
    found = ranked(dataset, cache, first, second)
    assert {(one.backbone, one.keep) for one in found.candidates} == {
        (str(name), keep) for name in (first, second) for keep in range(1, 5)
    }
    assert any(one.freeze < one.keep and one.epochs for one in found.candidates)
    for one in found.candidates:
        assert one.ci_low <= one.score <= one.ci_high
        assert set(one.measures) == {"logme", "h_score", "knn", "probe"}
        assert one.seconds > 0
        assert one.bytes > 0
    assert found.recommended.confirmed
    assert found.orders["measured"][0] == max(found.candidates, key=lambda one: one.score).backbone
    assert found.orders["published"] == []
    row = found.to_json()["ranking"][0]
    names = "backbone keep freeze score ci_low ci_high seconds bytes confirmed measures"
    assert set(names.split()) <= set(row)


def test_no_test_example_is_looked_at(
    dataset: Dataset, cache: FeatureCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[str] = set()
    plain = measuring.extract

    def spy(examples: list[Example], **settings: object) -> object:
        seen.update(example.name for example in examples)
        return plain(examples, **settings)

    monkeypatch.setattr(measuring, "extract", spy)
    ranked(dataset, cache, write_network(tmp_path / "one"))
    assert seen == {example.name for example in dataset.examples if example.split != "test"}


def test_a_second_ranking_computes_no_frozen_pass(
    dataset: Dataset, cache: FeatureCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = write_network(tmp_path / "one")
    first, computed = ranked(dataset, cache, network), []
    plain = measuring.extract

    def spy(*examples: object, **settings: object) -> object:
        found = plain(*examples, **settings)
        computed.append(found.computed)
        return found

    monkeypatch.setattr(measuring, "extract", spy)
    second = ranked(dataset, cache, network)
    assert not any(computed)
    assert [(one.cut, one.score) for one in second.candidates] == [(one.cut, one.score) for one in first.candidates]


def test_a_backbone_that_was_named_must_be_there(
    dataset: Dataset, cache: FeatureCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "measure_depths", None)  # it is said before anything is measured
    with pytest.raises(ModelError, match="there is no backbone `minilm-l7`") as caught:
        ranked(dataset, cache, write_network(tmp_path / "one"), "minilm-l7")
    assert "minilm-l6" in caught.value.hint


def test_what_is_not_here_is_left_out_with_the_way_to_it(dataset: Dataset, cache: FeatureCache) -> None:
    with pytest.raises(DataError, match="assets get minilm-l6"):
        ranked(dataset, cache)


def test_of_the_catalogue_what_cannot_be_opened_is_left_out(
    dataset: Dataset, cache: FeatureCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, network = search.open_backbone, str(write_network(tmp_path / "one"))

    def damaged(name: str, **settings: object) -> object:
        if name == "minilm-l3":
            raise CheckpointError("the weights are damaged", "obtain them again")
        return plain(network, **settings)

    monkeypatch.setattr(search, "open_backbone", damaged)
    monkeypatch.setattr(search.assets, "present", lambda name: True)
    found = ranked(dataset, cache)
    assert found.left_out == {"minilm-l3": "the weights are damaged"}
    assert {one.backbone for one in found.candidates} == {network}


def test_a_budget_too_small_for_anything_gives_what_fits(dataset: Dataset, cache: FeatureCache, tmp_path: Path) -> None:
    heard: list[object] = []
    found = ranked(dataset, cache, write_network(tmp_path / "one"), minutes=1e-6, heard=heard)
    assert found.examples == 40
    assert not any(one.confirmed for one in found.candidates)
    assert any(isinstance(event, Note) and "40 of" in event.text for event in heard)


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf")])
def test_no_budget_is_refused(dataset: Dataset, cache: FeatureCache, minutes: float) -> None:
    with pytest.raises(UsageError, match=f"budget of {minutes:g} minutes"):
        ranked(dataset, cache, "one", minutes=minutes)


def test_a_task_of_words_is_refused(dataset: Dataset, cache: FeatureCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "task_class", lambda *_: Tagging)
    with pytest.raises(UsageError, match="reads every step"):
        ranked(dataset, cache, "one")


def test_examples_that_are_alone_in_their_class_are_refused(cache: FeatureCache, tmp_path: Path) -> None:
    rows = [{"text": f"number {n}", "label": f"class {n}"} for n in range(12)]
    dataset = open_dataset(write_table(tmp_path / "alone.csv", rows), forms=[Classification.form])
    with pytest.raises(DataError, match="the only one of their class"):
        ranked(dataset, cache, "one")
