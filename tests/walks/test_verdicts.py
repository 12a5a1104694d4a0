"""On real data the verdict is what anybody would say who knows them: where words decide, and where photos do."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from headstart import api, assets
from headstart.record import Record
from samples import write_table

pytestmark = pytest.mark.slow


def adapted(data: Path, folder: Path, **settings: Any) -> Record:
    """Return the record of a run whose controls take no longer than it took itself."""
    model = api.fit(data, output_dir=folder / "model", scratch_minutes=0.0, freeze="all", cache=False, **settings)
    assert model.record is not None
    return model.record


def test_words_alone_decide_which_messages_are_unwanted(tmp_path: Path) -> None:
    with (assets.get("text-messages") / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = [row for label in ("ham", "spam") for row in [one for one in rows if one["label"] == label][:300]]
    record = adapted(write_table(tmp_path / "messages.csv", chosen), tmp_path, backbone="minilm-l3")
    assert record.verdict is not None
    assert record.verdict.key == "simple-model-enough"
    simple = record.baselines["simple"]
    assert simple is not None
    assert simple.score > 0.93
    assert "A simple model is enough here" in (tmp_path / "model" / "report.html").read_text()


def test_photos_need_what_a_network_has_seen_before(tmp_path: Path) -> None:
    record = adapted(assets.get("photos"), tmp_path)
    assert record.verdict is not None
    assert record.verdict.key == "pretraining-helped"
    assert record.verdict.differences["simple"]["ci_low"] > 0.1
    assert "Pre-training helped" in (tmp_path / "model" / "README.md").read_text()
