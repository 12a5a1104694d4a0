"""The scripts that pre-train small networks, for a fraction of a second each."""

from __future__ import annotations

import csv
import io
import sys
import tarfile
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from transformers import RobertaForMaskedLM, Wav2Vec2ForPreTraining

from headstart.backbones import open_backbone
from headstart.types import Example
from networks import write_examples, write_network
from samples import write_sounds

SCRIPTS = Path(__file__).parents[2] / "scripts"
A_MOMENT = 0.2 / 60
NAMES = ("pretraining", "pretrain_roberta", "pretrain_wav2vec2")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    """Import a script as `python scripts/NAME.py` does, and forget it afterwards."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield import_module
    for name in NAMES:
        sys.modules.pop(name, None)


def _tar(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def _sdist(folder: Path, sources: tuple[str, ...]) -> Path:
    lines = {
        f"hutto_ICWSM_2014/{source}_GroundTruth.txt": f"1_1\t-2.5\ta line of  {source}\n".encode() for source in sources
    }
    file = folder / "vader.tar.gz"
    file.write_bytes(_tar({"vader/additional_resources/hutto_ICWSM_2014.tar.gz": _tar(lines)}))
    return file


def test_texts_come_without_ratings_and_without_those_that_judge(script, tmp_path, monkeypatch) -> None:
    roberta: ModuleType = script("pretrain_roberta")
    file = _sdist(tmp_path, (*roberta.SOURCES, "amazonReviewSnippets"))
    monkeypatch.setattr(roberta, "package", lambda *_: nullcontext(file))
    assert roberta.read_texts() == sorted(f"a line of {source}" for source in roberta.SOURCES)


def test_a_draw_has_as_many_labels_of_each_class_and_the_whole_test_split(script, tmp_path, monkeypatch) -> None:
    roberta: ModuleType = script("pretrain_roberta")
    rows = [f"text {n},{('negative', 'positive')[n % 2]},1.0,{n}" for n in range(130)]
    for split in ("train", "test"):
        (tmp_path / f"{split}.csv").write_text("\n".join(["text,label,score,group", *rows]), encoding="utf-8")
    monkeypatch.setattr(roberta.assets, "get", lambda name: tmp_path)
    chosen = []
    for draw in (0, 1):
        (folder := tmp_path / str(draw)).mkdir()
        data = roberta.few_labels(draw, folder)
        assert (data / "test.csv").read_bytes() == (tmp_path / "test.csv").read_bytes()
        labels = [row["label"] for row in csv.DictReader((data / "train.csv").read_text("utf-8").splitlines())]
        assert sorted(labels) == ["negative"] * 50 + ["positive"] * 50
        chosen.append((data / "train.csv").read_text("utf-8"))
    assert chosen[0] != chosen[1]


def test_a_pretrained_roberta_is_a_backbone(script, tmp_path) -> None:
    roberta: ModuleType = script("pretrain_roberta")
    texts = [f"The {thing} was bad, number {n}" for n in range(40) for thing in ("film", "food")]
    assert roberta.pretrain(texts, tmp_path, minutes=A_MOMENT) > 0
    assert RobertaForMaskedLM.from_pretrained(tmp_path).config.vocab_size <= roberta.VOCABULARY
    backbone = open_backbone(str(tmp_path))
    assert (backbone.family.name, len(backbone.blocks)) == ("roberta", 5)
    ids = backbone.preprocess.decode(Example("a", {"text": "The film"}))["input_ids"]
    assert (ids[0], ids[-1]) == (backbone.preprocess.tokenizer.cls_token_id, backbone.preprocess.tokenizer.sep_token_id)


def test_only_chosen_tokens_count_in_the_masked_loss(script) -> None:
    roberta: ModuleType = script("pretrain_roberta")
    torch.manual_seed(0)
    network = roberta.new_network(300)
    ids = torch.cat([torch.zeros(8, 1), torch.randint(5, 300, (8, 20)), torch.ones(8, 3)], 1).long()
    assert roberta.masked_loss(network, 4, ids).item() == pytest.approx(np.log(300), rel=0.05)


def test_a_pretrained_wav2vec2_is_a_backbone(script, tmp_path) -> None:
    wav2vec2: ModuleType = script("pretrain_wav2vec2")
    sound = np.random.default_rng(0).standard_normal(10 * wav2vec2.CROP).astype(np.float32)
    assert wav2vec2.pretrain([sound], tmp_path / "network", minutes=A_MOMENT) > 0
    assert Wav2Vec2ForPreTraining.from_pretrained(tmp_path / "network").config.num_codevector_groups == 2
    backbone = open_backbone(str(tmp_path / "network"))
    assert (backbone.family.name, len(backbone.blocks)) == ("wav2vec2", 7)
    file = sorted(write_sounds(tmp_path / "sounds", classes=1, per_class=1).rglob("*.wav"))[0]
    samples = backbone.preprocess.decode(Example("a", {"audio": str(file)}))
    assert samples.ndim == 1
    assert abs(samples.mean()) < 1e-3


def test_training_ends_with_its_time(script) -> None:
    pretraining: ModuleType = script("pretraining")
    weight = torch.nn.Linear(1, 1)
    ones = iter(lambda: {"x": torch.ones(1, 1)}, None)
    assert pretraining.train(weight, ones, lambda b, _: weight(b["x"]).sum(), minutes=0.0, learning_rate=1.0) == 0
    before = weight.weight.item()
    assert pretraining.train(weight, ones, lambda b, _: weight(b["x"]).sum(), minutes=0.001, learning_rate=0.1) > 0
    assert weight.weight.item() < before


@pytest.mark.slow
def test_a_comparison_shows_both_scores_and_the_gain(script, tmp_path, capsys) -> None:
    pretraining: ModuleType = script("pretraining")
    data, network = write_examples(tmp_path, "text"), write_network(tmp_path / "network")
    pretraining.compare(lambda draw, folder: data, network, draws=1, minutes=0.02)
    shown = capsys.readouterr().out
    assert all(
        name in shown for name in ("draw 0: eval_accuracy on ", "pre-trained ", "from_scratch_converged ", "gain")
    )
