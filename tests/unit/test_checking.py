from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import headstart
from evidence import clean_evidence
from headstart import model as model_module
from headstart.checking import examine as examining
from headstart.checking.checks.contract import LEAVE_OUT
from headstart.checking.checks.exact_duplicates import check as exact_duplicates
from headstart.checking.checks.label_errors import out_of_fold, suspects
from headstart.checking.checks.near_duplicates import check as near_duplicates
from headstart.checking.neighbours import close_pairs
from headstart.checking.pictures import near_pictures
from headstart.checking.recordings import near_recordings
from headstart.checking.sketch import picture_sketch, recording_sketch, sketch_all
from headstart.checking.texts import near_texts
from headstart.errors import DataError, ModelError
from headstart.events import Note
from headstart.types import Example
from networks import write_network
from samples import reviews, tone, write_photos, write_reviews, write_sounds, write_table


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(model_module, "_verify", lambda *_: None)


def photo(path: Path, seed: int = 0, side: int = 96) -> Path:
    """Write a picture with large shapes, as photos have."""
    from PIL import Image

    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (6, 6, 3)).astype(np.uint8)
    Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC).save(path)
    return path


def word(path: Path, seed: int = 0, *, start: float = 0.1, gain: float = 1.0) -> Path:
    """Write a recording of six tones in a row, as a word has."""
    import soundfile

    random = np.random.default_rng(seed)
    tones = [tone(pitch, 0.12, 16_000) for pitch in random.uniform(200, 4000, 6)]
    soundfile.write(path, gain * np.concatenate([np.zeros(int(start * 16_000)), *tones]), 16_000)
    return path


def test_the_nearest_rows_are_found_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 8))
    vectors[40] = 3 * vectors[3]
    whole = close_pairs(vectors, floor=0.8)
    assert whole[3, 40] == pytest.approx(1)
    monkeypatch.setattr("headstart.checking.neighbours._BLOCK_NUMBERS", 60)
    assert close_pairs(vectors, floor=0.8) == pytest.approx(whole)


def test_of_too_many_rows_the_first_look_for_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.repeat(np.random.default_rng(0).normal(size=(10, 8)), 2, axis=0)
    monkeypatch.setattr("headstart.checking.neighbours.COMPARISONS", 40)
    assert set(close_pairs(vectors, floor=0.99, first=[8, 2])) == {(8, 9), (2, 3)}


def test_rows_of_zeros_and_single_rows_are_like_nothing() -> None:
    assert close_pairs(np.zeros((3, 4)), floor=0.5) == {}
    assert close_pairs(np.ones((1, 4)), floor=0.5) == {}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("The battery lasts two days.", "THE BATTERY, LASTS TWO DAYS!", True),
        ("the battery lasts two long days", "the battery lasts three long days", True),
        ("the battery lasts two long days", "the battery lasts long days", True),
        ("ﬁne work", "fine work", True),
        ("good film", "bad film", False),
        ("the battery lasts two long days", "the display broke on the very first day", False),
        ("...", "!!!", False),
    ],
)
def test_texts_are_the_same_without_case_and_marks_and_with_a_word_changed(one: str, other: str, same: bool) -> None:
    assert ((0, 1) in near_texts([one, other])) == same


def test_a_long_text_with_a_few_words_changed_is_the_same() -> None:
    random = np.random.default_rng(0)
    words = ["".join(random.choice(list("abcdefgh"), 6)) for _ in range(200)]
    changed = list(words)
    for place in (10, 60, 150):
        changed[place] = "other"
    (score,) = near_texts([" ".join(words), " ".join(changed), " ".join(reversed(words))]).values()
    assert 0.8 < score < 1


def test_many_equal_texts_do_not_make_all_pairs() -> None:
    assert len(near_texts(["the same old words again"] * 400)) < 400 * 10


def test_a_picture_scaled_cropped_and_brightened_is_the_same_and_another_is_not(tmp_path: Path) -> None:
    from PIL import Image

    whole = Image.open(photo(tmp_path / "a.png"))
    whole.resize((50, 60)).save(tmp_path / "scaled.png")
    whole.crop((5, 4, 90, 96)).save(tmp_path / "cropped.png")
    whole.point(lambda value: min(255, int(value * 0.8))).save(tmp_path / "dark.jpg", quality=70)
    photo(tmp_path / "other.png", seed=1)
    names = ("a.png", "scaled.png", "cropped.png", "dark.jpg", "other.png")
    pairs = near_pictures([picture_sketch(tmp_path / name) for name in names])
    assert {(0, 1), (0, 2), (0, 3)} <= set(pairs)
    assert not [pair for pair in pairs if 4 in pair]


def test_a_recording_later_and_louder_is_the_same_and_another_is_not(tmp_path: Path) -> None:
    files = [word(tmp_path / "a.wav"), word(tmp_path / "b.wav", start=0.35, gain=0.3), word(tmp_path / "c.wav", 1)]
    assert set(near_recordings([recording_sketch(path) for path in files])) == {(0, 1)}


def test_what_cannot_be_decoded_is_named_and_what_is_empty_is_constant(tmp_path: Path) -> None:
    from PIL import Image

    photo(tmp_path / "good.png")
    Image.new("RGB", (40, 40), "white").save(tmp_path / "white.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    examples = [Example(name, {"image": tmp_path / name}) for name in ("good.png", "white.png", "bad.png")]
    sketches, skipped = sketch_all(examples, kind="image")
    assert {name: sketch.constant for name, sketch in sketches.items()} == {"good.png": False, "white.png": True}
    assert [one.name for one in skipped] == ["bad.png"]


def test_silence_is_constant(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "silent.wav", np.zeros(8000), 16_000)
    assert recording_sketch(tmp_path / "silent.wav").constant
    assert not recording_sketch(word(tmp_path / "word.wav")).constant


def test_a_copy_in_training_goes_and_the_one_in_the_test_split_stays() -> None:
    evidence = clean_evidence("text")
    test = next(number for number, example in enumerate(evidence.examples) if example.split == "test")
    evidence = evidence.changed(test, content=evidence.dataset.hashes["row 1"], target=evidence.examples[0].target)
    (problem,) = exact_duplicates.find(evidence)
    (case,) = problem.cases
    assert case.names == ("row 1", evidence.examples[test].name)
    assert case.suggestion == LEAVE_OUT


def test_equal_contents_are_no_near_duplicates() -> None:
    evidence = clean_evidence("text").changed(1, inputs=clean_evidence("text").examples[0].inputs)
    assert list(near_duplicates.find(evidence))
    assert not list(near_duplicates.find(evidence.changed(1, content=evidence.dataset.hashes["row 1"])))


def test_constant_pictures_are_not_compared() -> None:
    evidence = clean_evidence("image")
    sketch = replace(evidence.sketches[evidence.examples[0].name], constant=True)
    assert not list(near_duplicates.find(evidence.changed(0, sketch=sketch).changed(1, sketch=sketch)))


def test_a_probe_judges_only_what_neither_it_nor_a_copy_has_seen() -> None:
    random = np.random.default_rng(0)
    vectors = np.repeat(random.normal(size=(30, 32)), 2, axis=0)
    given = np.repeat(random.integers(0, 2, 30), 2)
    apart = out_of_fold(vectors, given, np.repeat(np.arange(30), 2))
    cheating = out_of_fold(vectors, given, np.arange(60))
    assert cheating[np.arange(60), given].mean() > apart[np.arange(60), given].mean() + 0.1


def test_a_class_that_is_named_only_once_costs_no_other_class_its_judgement() -> None:
    given = np.array([0] * 20 + [1] * 20)
    probabilities = np.tile([0.9, 0.1], (40, 1))
    probabilities[20:] = [0.1, 0.9]
    probabilities[3] = [0.05, 0.95]
    assert suspects(probabilities, given) == {3: 1}


def test_an_examination_is_bounded_by_what_may_be_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = clean_evidence("image")
    assert evidence.vectors is not None
    vectors = evidence.vectors.copy()
    vectors[1] = vectors[0]
    seen = examining.Seen("toy", vectors, evidence.examples, (), frozenset())
    decoded: list[str] = []

    def remember(examples: list[Example], **_: object) -> tuple[dict, tuple]:
        decoded.extend(example.name for example in examples)
        return {example.name: evidence.sketches[example.name] for example in examples}, ()

    monkeypatch.setattr(examining, "sketch_all", remember)
    found = examining.examine(evidence.dataset, seen, decode_at_most=2)
    assert decoded == [evidence.examples[0].name, evidence.examples[1].name]
    assert "2 were compared" in found.notes[0]


def planted_reviews(folder: Path) -> Path:
    rows = [row | {"split": ("train", "train", "test")[n % 3]} for n, row in enumerate(reviews(60))]
    rows[1] = rows[0] | {"split": "test"}
    rows.append({"text": "...", "label": "positive", "split": "train"})
    return write_table(folder / "reviews.csv", rows)


def test_what_programs_read(tmp_path: Path) -> None:
    network = write_network(tmp_path / "network")
    found = headstart.check(planted_reviews(tmp_path), backbone=str(network)).to_json()
    assert set(found) == {
        "examples", "labels", "splits", "problems", "duplicates_across_splits", "label_suspects", "test_share",
    }  # fmt: skip
    assert found["examples"] == 61
    assert sum(found["splits"].values()) == 61
    kinds = {problem["kind"]: problem for problem in found["problems"]}
    assert kinds["empty-texts"] == {"kind": "empty-texts", "count": 1, "examples": ["row 61"]}
    assert found["duplicates_across_splits"][0]["examples"] == ["row 1", "row 2"]
    assert found["test_share"] > 0
    json.dumps(found)


def test_a_fit_tells_what_is_wrong_with_its_data_and_computes_nothing_again(tmp_path: Path) -> None:
    network, data = str(write_network(tmp_path / "network")), planted_reviews(tmp_path)
    headstart.check(data, backbone=network)
    settings = {"backbone": network, "baselines": False, "epochs": 1}
    model = headstart.fit(data, **settings, output_dir=tmp_path / "model")
    assert model.record is not None
    assert model.record.cache["computed"] == 0
    assert model.record.duplicates_across_splits["test_share"] > 0
    assert "duplicates-across-splits" in [problem["kind"] for problem in model.record.problems]
    report = (tmp_path / "model" / "report.html").read_text("utf-8")
    assert 'id="careful"' in report


def test_without_weights_most_checks_still_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from headstart.errors import NetworkError

    def fail(*_: object, **__: object) -> None:
        raise NetworkError("nothing can be fetched", "connect")

    monkeypatch.setattr("headstart.api.open_backbone", fail)
    notes: list[object] = []
    found = headstart.check(planted_reviews(tmp_path), listener=notes.append)
    assert Note("no backbone is run: nothing can be fetched") in notes
    assert found.problem("duplicates-across-splits")
    with pytest.raises(NetworkError):
        headstart.check(planted_reviews(tmp_path), backbone="mine")


def test_a_backbone_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="`minilm-l7`"):
        headstart.check(write_reviews(tmp_path / "reviews.csv"), backbone="minilm-l7")


def write_anything(folder: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    texts = reviews(30)
    yield write_table(folder / "one.csv", [row | {"label": "same"} for row in texts]), {}
    yield write_table(folder / "few.csv", texts[:3]), {}
    yield (
        write_table(folder / "numbers.csv", [row | {"label": len(row["text"])} for row in texts]),
        {"task": "text-regression"},
    )
    yield write_table(folder / "lists.jsonl", [row | {"label": [row["label"], "any"]} for row in texts]), {}
    yield write_table(folder / "pairs.csv", [row | {"text_pair": "coat"} for row in texts]), {}
    tags = [{"tokens": row["text"].split(), "tags": ["O"] * len(row["text"].split())} for row in texts]
    tags[0]["tags"] = ["B-X"] + tags[0]["tags"][1:]
    yield write_table(folder / "tags.jsonl", tags), {}
    yield write_photos(folder / "photos"), {}
    yield write_sounds(folder / "sounds"), {}


def test_any_data_can_be_checked(tmp_path: Path) -> None:
    networks = {kind: str(write_network(tmp_path / kind, kind)) for kind in ("bert", "vit", "whisper")}
    families = {"photos": "vit", "sounds": "whisper"}
    for data, settings in write_anything(tmp_path):
        found = headstart.check(data, backbone=networks[families.get(data.name, "bert")], **settings)
        assert found.to_json()["examples"] > 0


def test_when_nothing_can_be_read_that_is_the_problem(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos")
    for path in (tmp_path / "photos").rglob("*.png"):
        path.write_bytes(b"no picture")
    found = headstart.check(tmp_path / "photos", vectors=False)
    assert [problem.kind for problem in found.problems][0] == "unreadable"
    with pytest.raises(DataError):
        headstart.check(tmp_path / "nowhere", vectors=False)
