"""From data to a folder that others read: transformers says the same as headstart, also where it never heard of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart import api
from headstart.backbones.contract import quiet
from headstart.data.dataset import open_dataset
from headstart.data.media import open_audio
from headstart.errors import CheckpointError
from headstart.model import GENERIC_CLASS, Model
from headstart.types import Label
from networks import FAMILIES, write_examples, write_network

pytestmark = pytest.mark.slow

# A head of each family that transformers has a class for.
STOCK = {
    "bert": "pooler", "roberta": "pooler", "vit": "cls", "dinov2": "cls-mean", "mobilenet-v2": "average",
    "efficientnet-lite": "average", "wav2vec2": "mean",
}  # fmt: skip
GENERIC = {"bert": "mean", "vit": "mean", "dinov2": "cls", "whisper": "mean"}
SHORT = [("vit", 2), ("dinov2", 3), ("bert", 2), ("roberta", 2), ("efficientnet-lite", 3), ("wav2vec2", 4)]
# What transformers cannot build without all of its blocks is read by our own class.
ONLY_WHOLE = [("mobilenet-v2", 3), ("wav2vec2", 1), ("wav2vec2", 2)]
PART = {"text": "tokenizer", "image": "image_processor", "audio": "feature_extractor"}

TRANSFORMERS_ALONE = """
import json, sys
from transformers import pipeline
task, folder, inputs = json.loads(sys.argv[1])
classify = pipeline(task, model=folder, top_k=None)
found = [classify(one) for one in inputs]
found = [rows[0] if isinstance(rows[0], list) else rows for rows in found]
assert not [name for name in sys.modules if name.startswith("headstart")]
print(json.dumps([{row["label"]: row["score"] for row in rows} for rows in found]))
"""

HEADSTART = """
import json, sys
import headstart
folder, inputs = json.loads(sys.argv[1])
print(json.dumps([dict(one.scores) for one in headstart.load(folder).predict(inputs)]))
"""


def fit(folder: Path, family: str, head: str, **settings: Any) -> tuple[Model, list[str]]:
    """Return a tiny adapted model, saved and verified, and inputs for it."""
    kind = FAMILIES[family].kind
    network, data = write_network(folder / "network", family), write_examples(folder / "data", kind, classes=3)
    settings = {"keep": "all", "freeze": 2, "epochs": 2, "baselines": False, **settings}
    model = api.fit(data, backbone=str(network), head=head, output_dir=folder / "model", **settings)
    inputs = [str(next(iter(example.inputs.values()))) for example in open_dataset(data).examples[:8]]
    return model, inputs


def fresh(code: str, argument: Any) -> Any:
    """Run code in a new process and return the JSON it prints."""
    command = [sys.executable, "-c", code, json.dumps(argument)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.strip().splitlines()[-1])


def scores_of(classify: Any, inputs: list[str]) -> list[dict[str, float]]:
    """Run a pipeline with `top_k=None`: for texts it nests its answers, for files of sound it would need ffmpeg."""
    found = [classify(open_audio(one, 16_000) if one.endswith(".wav") else one) for one in inputs]
    return [{row["label"]: row["score"] for row in (r[0] if isinstance(r[0], list) else r)} for r in found]


def assert_alike(theirs: list[dict[str, float]], ours: list[Label]) -> None:
    for scores, label in zip(theirs, ours, strict=True):
        assert max(scores, key=lambda name: scores[name]) == label.label
        assert scores.keys() == label.scores.keys()
        for name, score in scores.items():
            assert score == pytest.approx(label.scores[name], abs=1e-4)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("family", ["bert", "roberta", "vit", "dinov2", "mobilenet-v2"])
def test_a_process_that_has_only_transformers_gives_the_same_scores(family: str, tmp_path: Path) -> None:
    model, inputs = fit(tmp_path, family, STOCK[family])
    theirs = fresh(TRANSFORMERS_ALONE, [model.task.full_name, str(tmp_path / "model"), inputs])
    assert_alike(theirs, model.predict(inputs))


@pytest.mark.parametrize("family", sorted(STOCK))
def test_a_pipeline_gives_the_same_scores(family: str, tmp_path: Path) -> None:
    from transformers import pipeline

    import headstart.hub  # noqa: F401  (our own networks)

    model, inputs = fit(tmp_path, family, STOCK[family])
    with quiet():
        classify = pipeline(model.task.full_name, model=str(tmp_path / "model"), top_k=None)
    assert_alike(scores_of(classify, inputs), model.predict(inputs))


@pytest.mark.parametrize("family", sorted(GENERIC))
def test_a_head_that_transformers_has_no_class_for_is_read_by_ours(family: str, tmp_path: Path) -> None:
    from transformers import AutoFeatureExtractor, pipeline

    import headstart.hub

    model, inputs = fit(tmp_path, family, GENERIC[family])
    assert json.loads((tmp_path / "model" / "config.json").read_text())["architectures"] == [GENERIC_CLASS]
    network = headstart.hub.HeadstartForClassification.from_pretrained(tmp_path / "model")
    part: Any = str(tmp_path / "model")
    if model.kind == "audio":  # given a path here, transformers asks the hub for a repository called `None`
        part = AutoFeatureExtractor.from_pretrained(part)
    with quiet():
        classify = pipeline(model.task.full_name, model=network, top_k=None, **{PART[model.kind]: part})
    assert_alike(scores_of(classify, inputs), model.predict(inputs))


@pytest.mark.parametrize(("family", "keep"), SHORT)
def test_a_network_cut_short_is_read_by_transformers_too(family: str, keep: int, tmp_path: Path) -> None:
    from transformers import pipeline

    import headstart.hub  # noqa: F401

    model, inputs = fit(tmp_path, family, STOCK[family], keep=keep, freeze=1)
    with quiet():
        classify = pipeline(model.task.full_name, model=str(tmp_path / "model"), top_k=None)
    assert_alike(scores_of(classify, inputs), model.predict(inputs))


@pytest.mark.parametrize(("family", "keep"), ONLY_WHOLE)
def test_a_network_that_transformers_only_builds_whole_is_read_by_ours(family: str, keep: int, tmp_path: Path) -> None:
    model, inputs = fit(tmp_path, family, STOCK[family], keep=keep, freeze=1)
    assert json.loads((tmp_path / "model" / "config.json").read_text())["architectures"] == [GENERIC_CLASS]
    assert len(api.load(tmp_path / "model").backbone.blocks) == keep
    assert_alike([dict(one.scores) for one in api.load(tmp_path / "model").predict(inputs)], model.predict(inputs))


def test_a_fresh_process_predicts_alike(tmp_path: Path) -> None:
    model, inputs = fit(tmp_path / "ein Ordner é", "vit", "cls")
    assert_alike(fresh(HEADSTART, [str(tmp_path / "ein Ordner é" / "model"), inputs]), model.predict(inputs))


def test_other_numbers_after_reloading_are_noticed_before_it_says_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logits = Model.uncut_logits
    monkeypatch.setattr(Model, "uncut_logits", lambda self, inputs: logits(self, inputs) + np.float32(1e-3))
    with pytest.raises(CheckpointError, match="gives other numbers"):
        fit(tmp_path, "bert", "mean")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_openvino_agrees_on_labels_and_within_a_bound(family: str, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    reference, inputs = fit(tmp_path / "torch", family, FAMILIES[family].head)
    other, _ = fit(tmp_path / "openvino", family, FAMILIES[family].head, engine="openvino")
    assert other.record is not None
    assert reference.record is not None
    assert other.record.engine == "openvino"
    # Rounding the features to float16 is a share of the logits; the engine itself adds next to nothing.
    largest = max(float(np.abs(row).max()) for _, row in other.logits_of(other._examples(inputs)))
    assert other.record.max_abs_difference <= 2e-3 * max(1.0, largest)
    assert other.record.max_abs_difference <= reference.record.max_abs_difference + 1e-3
    for one, two in zip(reference.predict(inputs), other.predict(inputs), strict=True):
        assert isinstance(one, Label)
        assert isinstance(two, Label)
        assert one.label == two.label
        assert one.score == pytest.approx(two.score, abs=1e-2)
