"""Every depth is probed from one pass, and gives what a head on the features of that depth gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart import api
from headstart.backbones import open_backbone
from headstart.data.dataset import open_dataset
from headstart.features.cache import FeatureCache
from headstart.ranking import depths
from headstart.registry import plugin
from headstart.tasks.classification import Classification
from networks import write_network
from samples import write_reviews


@pytest.mark.slow
def test_a_row_is_the_score_of_a_model_kept_to_that_depth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "kept"))
    data, network = write_reviews(tmp_path / "reviews.csv", 60), write_network(tmp_path / "network")
    dataset, passes, plain = open_dataset(data, forms=[Classification.form]), [], depths.extract

    def counted(*examples: object, **settings: object) -> object:
        passes.append(plain(*examples, **settings))
        return passes[-1]

    monkeypatch.setattr(depths, "extract", counted)
    rows = depths.probe_depths(
        dataset, open_backbone(network), Classification.of(dataset), engine=plugin("engines", "torch"),
        cache=FeatureCache(tmp_path / "cache"), split="test",
    )  # fmt: skip
    assert [one.computed for one in passes] == [len(dataset.examples)]
    assert [row["keep"] for row in rows] == [1, 2, 3, 4]
    for row in (rows[1], rows[3]):
        model = api.fit(
            data, backbone=str(network), head="mean", keep=row["keep"], freeze="all", baselines=False,
            output_dir=tmp_path / f"model-{row['keep']}",
        )  # fmt: skip
        assert row["score"] == pytest.approx(model.record.metrics["eval_accuracy"], abs=1e-9)


def test_without_the_split_there_are_no_rows(tmp_path: Path) -> None:
    dataset = open_dataset(write_reviews(tmp_path / "reviews.csv", 60), forms=[Classification.form]).joined()
    rows = depths.probe_depths(
        dataset, open_backbone(write_network(tmp_path / "network")), Classification.of(dataset),
        engine=plugin("engines", "torch"), cache=FeatureCache(tmp_path / "cache"), split="validation",
    )  # fmt: skip
    assert rows == []
