"""The scripts that pre-train small networks, for a fraction of a second each."""

from __future__ import annotations

import csv
import io
import sys
import tarfile
from collections import Counter
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from transformers import RobertaForMaskedLM, Wav2Vec2Model

from headstart.backbones import open_backbone
from headstart.backbones.contract import Backbone
from headstart.types import Example
from networks import FAMILIES, spread, write_examples, write_network
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


def _package(folder: Path, files: dict[str, bytes]) -> Path:
    file = folder / "package.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file


def _glosses(roberta: ModuleType) -> list:
    words = ("small", "large", "red", "old", "wild", "common", "rare")
    return [
        roberta.Gloss(f"a {word} {label} of the kind {n}", label)
        for label in (*roberta.CLASSES.values(), None)
        for word in words
        for n in range(60)
    ]


def test_each_gloss_is_read_once_with_its_class(script, tmp_path, monkeypatch) -> None:
    roberta: ModuleType = script("pretrain_roberta")
    noun = '  1 the licence | of it\n00001740 05 n 01 cat 0 001 @ 1 n 0000 | a small  animal; "it purrs"  \n'
    verb = '00001741 29 v 01 purr 0 | sound like a cat\n00001742 29 v 01 x 0 | A small animal; "It purrs"\n'
    names = {"data.noun": noun, "data.verb": verb, "index.noun": "cat n 1 | no gloss\n"}
    file = _package(tmp_path, {f"usr/share/wordnet/{name}": text.encode() for name, text in names.items()})
    monkeypatch.setattr(roberta, "package", lambda source: nullcontext(file))
    assert roberta.read_glosses() == [('a small animal; "it purrs"', "animal"), ("sound like a cat", None)]


def test_what_judges_is_neither_learnt_from_nor_pretrained_on(script, tmp_path) -> None:
    roberta: ModuleType = script("pretrain_roberta")
    glosses = roberta.split(_glosses(roberta))
    assert Counter(label for _, label in glosses.test) == dict.fromkeys(roberta.CLASSES.values(), 200)
    chosen = []
    for draw in (0, 1):
        (folder := tmp_path / str(draw)).mkdir()
        data = roberta.few_labels(glosses, draw, folder)
        rows = {
            split: list(csv.DictReader((data / f"{split}.csv").read_text("utf-8").splitlines()))
            for split in ("train", "test")
        }
        assert Counter(row["label"] for row in rows["train"]) == dict.fromkeys(roberta.CLASSES.values(), 20)
        assert {row["text"] for row in rows["test"]} == {gloss.text for gloss in glosses.test}
        chosen.append({row["text"] for row in rows["train"]})
        assert chosen[-1] <= {gloss.text for gloss in glosses.train}
    assert chosen[0] != chosen[1]
    assert not {gloss.text for gloss in glosses.train} & {gloss.text for gloss in glosses.test}


def test_a_pretrained_roberta_is_a_backbone(script, tmp_path) -> None:
    roberta: ModuleType = script("pretrain_roberta")
    texts = [f"The {thing} was bad, number {n}" for n in range(40) for thing in ("film", "food")]
    assert roberta.pretrain(texts, tmp_path, minutes=A_MOMENT) > 0
    assert RobertaForMaskedLM.from_pretrained(tmp_path).config.vocab_size <= roberta.VOCABULARY
    backbone = open_backbone(str(tmp_path))
    assert (backbone.family.name, len(backbone.blocks)) == ("roberta", 5)
    ids = backbone.preprocess.decode(Example("a", {"text": "The film"}))["input_ids"]
    assert (ids[0], ids[-1]) == (backbone.preprocess.tokenizer.cls_token_id, backbone.preprocess.tokenizer.sep_token_id)


def test_the_two_halves_of_a_text_share_no_word(script, monkeypatch) -> None:
    roberta: ModuleType = script("pretrain_roberta")
    monkeypatch.setattr(roberta, "contrast", lambda hidden, real: 0.0)
    torch.manual_seed(0)
    network, read = roberta.new_network(300), []
    network.roberta.register_forward_pre_hook(lambda _m, _a, inputs: read.append(inputs["input_ids"]), with_kwargs=True)
    ids = torch.cat([torch.zeros(8, 1), torch.randint(5, 300, (8, 20)), torch.ones(8, 3)], 1).long()
    loss = roberta.loss_of_halves(network, 4, ids)
    first, second = read[0].chunk(2)
    words = ids >= 5
    assert ((first == ids) ^ (second == ids))[words].all()
    assert ((first == 4) ^ (second == 4))[words].all()
    assert torch.equal(first[~words], ids[~words])
    assert torch.equal(second[~words], ids[~words])
    assert loss.item() == pytest.approx(np.log(300), rel=0.05)  # an untrained network guesses


def test_halves_that_are_alike_beside_others_cost_nothing(script) -> None:
    roberta: ModuleType = script("pretrain_roberta")
    rows = torch.eye(6).repeat(2, 1)[:, None] + 9
    real = torch.ones(12, 1)
    assert roberta.contrast(rows, real).item() < 0.01
    assert roberta.contrast(torch.cat([rows[:6], rows[:6].flip(0)]), real).item() > 5


def test_recordings_follow_one_another_with_pauses(script, tmp_path, monkeypatch) -> None:
    wav2vec2: ModuleType = script("pretrain_wav2vec2")
    sounds = sorted(write_sounds(tmp_path / "sounds", classes=1, per_class=2, seconds=1.0).rglob("*.wav"))
    file = _package(tmp_path, {one.name: one.read_bytes() for one in sounds} | {"copyright": b"free"})
    monkeypatch.setattr(wav2vec2, "package", lambda source: nullcontext(file))
    recordings = wav2vec2.read_recordings([None])
    assert [len(one) for one in recordings] == [wav2vec2.RATE] * 2
    (window,) = wav2vec2.windows(recordings * 13)
    assert len(window) == wav2vec2.WINDOW
    assert not window[wav2vec2.RATE : wav2vec2.RATE + wav2vec2.PAUSE].any()
    assert window[: wav2vec2.RATE].std() == pytest.approx(0.1, rel=0.01)


def _teacher(seconds: int) -> Backbone:
    """Return a tiny Whisper that reads windows of so many seconds."""
    whisper = FAMILIES["whisper"]
    config = whisper.tiny()
    config.max_source_positions = 50 * seconds
    torch.manual_seed(0)
    network = whisper.build(config).eval()
    spread(network)
    return Backbone(
        name="tiny", family=whisper, network=network, preprocess=whisper.preprocess(Path(), config), source=Path()
    )


def test_the_teacher_tells_more_than_where_in_the_window_a_step_is(script) -> None:
    wav2vec2: ModuleType = script("pretrain_wav2vec2")
    sounds = np.random.default_rng(0).standard_normal((3, wav2vec2.RATE)).astype(np.float32)
    taught = wav2vec2.teach(_teacher(1), sounds).float()
    assert taught.shape == (3, 50, 32)
    assert taught.mean(0).abs().max() < 0.01
    torch.testing.assert_close(taught.std((0, 1)), torch.ones(32), atol=0.01, rtol=0)


def test_a_distilled_wav2vec2_is_a_backbone(script, tmp_path, monkeypatch) -> None:
    wav2vec2: ModuleType = script("pretrain_wav2vec2")
    monkeypatch.setattr(wav2vec2, "WINDOW", 4 * wav2vec2.RATE)
    noise = np.random.default_rng(0).standard_normal(3 * wav2vec2.WINDOW).astype(np.float32)
    assert wav2vec2.pretrain([noise], tmp_path / "network", minutes=A_MOMENT, teacher=_teacher(4)) > 0
    assert Wav2Vec2Model.from_pretrained(tmp_path / "network").config.hidden_size == 192
    backbone = open_backbone(str(tmp_path / "network"))
    assert (backbone.family.name, len(backbone.blocks)) == ("wav2vec2", 7)
    file = sorted(write_sounds(tmp_path / "sounds", classes=1, per_class=1).rglob("*.wav"))[0]
    samples = backbone.preprocess.decode(Example("a", {"audio": str(file)}))
    assert samples.ndim == 1
    assert abs(samples.mean()) < 1e-3


def test_the_teacher_steps_are_those_of_the_crop(script) -> None:
    wav2vec2: ModuleType = script("pretrain_wav2vec2")
    steps = wav2vec2.WINDOW // wav2vec2.STEP
    ramp = np.linspace(0, 1, wav2vec2.WINDOW, dtype=np.float32)
    taught = torch.linspace(0, 1, steps)[None, :, None].half()
    batch = next(wav2vec2.batches([ramp], taught))
    assert batch["input_values"].shape == (wav2vec2.CROPS_A_BATCH, wav2vec2.CROP)
    assert batch["targets"].shape == (wav2vec2.CROPS_A_BATCH, wav2vec2.CROP // wav2vec2.STEP, 1)
    spans = batch["targets"][:, -1, 0] - batch["targets"][:, 0, 0]
    slowest, fastest = (share * wav2vec2.CROP / wav2vec2.WINDOW for share in (wav2vec2.SLOWEST, wav2vec2.FASTEST))
    assert (spans > 0.95 * slowest).all()
    assert (spans < 1.05 * fastest).all()


def test_parts_of_the_words_are_disjoint_and_have_both_voices(script, tmp_path, monkeypatch) -> None:
    wav2vec2: ModuleType = script("pretrain_wav2vec2")
    for split in ("train", "test"):
        for word in "abcde":
            (tmp_path / split / word).mkdir(parents=True)
            (tmp_path / split / word / "word.wav").touch()
    monkeypatch.setattr(wav2vec2.assets, "get", lambda name: tmp_path)
    found = []
    for part in (0, 1):
        data = wav2vec2.part_of_words(2, part, tmp_path / f"part{part}")
        words, others = (sorted(one.name for one in (data / split).iterdir()) for split in ("train", "test"))
        assert words == others
        found += words
    assert sorted(found) == list("abcde")


def test_training_ends_with_its_time(script) -> None:
    pretraining: ModuleType = script("pretraining")
    weight = torch.nn.Linear(1, 1)
    ones = iter(lambda: {"x": torch.ones(1, 1)}, None)
    assert pretraining.train(weight, ones, lambda b: weight(b["x"]).sum(), minutes=0.0, learning_rate=1.0) == 0
    before = weight.weight.item()
    assert pretraining.train(weight, ones, lambda b: weight(b["x"]).sum(), minutes=0.001, learning_rate=0.1) > 0
    assert weight.weight.item() < before


def test_a_mean_gain_has_an_interval_where_there_are_several(script) -> None:
    pretraining: ModuleType = script("pretraining")
    assert pretraining.mean_with_interval([0.1]) == "+0.100"
    assert pretraining.mean_with_interval([0.1, 0.2, 0.3]) == "+0.200 [-0.048, +0.448], mean of 3"


@pytest.mark.slow
def test_a_comparison_shows_all_scores_and_gains(script, tmp_path, capsys) -> None:
    pretraining: ModuleType = script("pretraining")
    data, network = write_examples(tmp_path, "text"), write_network(tmp_path / "network")
    beside = {"shallow": {"backbone": str(network), "keep": 1, "freeze": "all"}}
    pretraining.compare(lambda draw, folder: data, network, draws=1, beside=beside, scratch_minutes=0.02)
    shown = capsys.readouterr().out
    rows = ("draw 0: eval_accuracy on ", "pre-trained ", "from_scratch_converged ", "  shallow ", "gain over shallow ")
    assert all(name in shown for name in rows)
