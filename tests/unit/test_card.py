from __future__ import annotations

import pytest
from huggingface_hub import ModelCard

from headstart.reporting.card import render, write_card
from records import sample_record


@pytest.mark.parametrize("kind", ["image", "text", "audio"])
def test_the_hub_reads_metrics_and_intervals(kind, tmp_path):
    record = sample_record(kind)
    card = ModelCard.load(write_card(record, tmp_path))
    assert card.data.license == "apache-2.0"
    assert card.data.pipeline_tag == record.task
    accuracy = next(result for result in card.data.eval_results if result.metric_type == "accuracy")
    assert accuracy.metric_value == pytest.approx(record.metrics["eval_accuracy"], abs=1e-4)
    assert accuracy.metric_args["ci_low"] < accuracy.metric_value < accuracy.metric_args["ci_high"]
    assert accuracy.dataset_name == f"{kind}s"
    assert card.data.base_model is None
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]


def test_the_backbone_is_named_where_the_hub_has_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record = sample_record(backbone="google/vit-base-patch16-224")
    assert ModelCard(render(record)).data.base_model == "google/vit-base-patch16-224"
    (tmp_path / "google" / "vit-base-patch16-224").mkdir(parents=True)
    assert ModelCard(render(record)).data.base_model is None


def test_a_licence_that_the_hub_does_not_know_keeps_its_name():
    record = sample_record(backbone_facts={"licence": "Our own terms"})
    data = ModelCard(render(record)).data
    assert (data.license, data.license_name) == ("other", "Our own terms")


def test_without_test_examples_there_is_no_metric():
    record = sample_record(metrics=None, metrics_missing="one example a class", baselines={})
    card = ModelCard(render(record))
    assert card.data.eval_results is None
    assert "no test examples: one example a class" in card.text
    assert "never tested" in card.text


def test_it_names_no_example_and_no_folder_of_the_machine():
    record = sample_record(
        backbone="/home/someone/weights",
        backbone_facts={"licence": "MIT", "origin": "/home/someone/weights"},
    )
    card = render(record)
    assert "/home" not in card
    assert "someone" not in card
    assert "broken.jpg" not in card
    assert not any(judged.name in card for judged in record.judged)


def test_labels_are_shown_as_they_are():
    labels = ("<script>alert(1)</script>", "a|b", "*c*\n---\n# d", "[e](f)", "`g`")
    card = render(sample_record(labels=labels, backbone="x`<b>|y"))
    assert "<script" not in card
    assert "<b>" not in card
    assert "a\\|b" in card
    assert "\\*c\\* --- \\# d" in card
    assert ModelCard(card).data.model_name == "xby adapted to images"


def test_usage_follows_our_own_way():
    card = render(sample_record("text"), usage="```python\npipeline(...)\n```\n")
    assert card.index("headstart.load") < card.index("pipeline(...)") < card.index("## Limits")


def test_a_head_alone_has_learnt_from_validation_too():
    sizes = {"train": 80, "validation": 20, "test": 50}
    head = sample_record("image", sizes=sizes, keep=12, freeze=12)
    assert "It learnt from 100 photos, 20 of which had first chosen" in render(head)
    assert "It learnt from 80 photos." in render(sample_record("image", sizes=sizes, keep=12, freeze=10))
