from __future__ import annotations

import dataclasses
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from headstart.errors import MachineError
from headstart.record import Calibration, Control, Growth, Judged, Matrix, Point, Scatter, Table
from headstart.reporting import certainty, wording
from headstart.reporting.report import pairs, render, strip, write_report
from headstart.reporting.showcase import MISTAKES, mistakes, right
from records import sample_record

ATTACK = "</svg></title><script>alert(1)</script><img src=x onerror=alert(1)> $\\frac{$ \x1b[31m\x00"
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Counts tags, collects attributes, and requires that what is opened is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self._open.pop() == tag


def bare(kind="image", **changes):
    """Return a record without curves, which take the most time to draw."""
    curves = {"history": [], "depths": [], "calibration": None, "abstention": None, "growth": None}
    return sample_record(kind, **curves | changes)


def spoilt(record):
    """Return the record with an attack wherever a user, a file or a plug-in has a say."""
    labels = tuple(f"{ATTACK}{number}" for number in range(len(record.labels)))
    return dataclasses.replace(
        record,
        backbone=ATTACK,
        head=ATTACK,
        labels=labels,
        baselines={ATTACK: Control(0.5, 0.4, 0.6, note=ATTACK)},
        sections=[
            Table(ATTACK, [ATTACK], ["name"], [[label] for label in labels], ATTACK),
            Matrix(list(labels), record.sections[1].counts, ATTACK),
        ],
        judged=[Judged(ATTACK, ATTACK, labels[0], labels[1], 0.9), Judged(ATTACK, ATTACK, ATTACK, ATTACK, 0.9)],
        counts={ATTACK: dict.fromkeys(labels, 3)},
        skipped=[{"name": ATTACK, "error": ATTACK}],
        engine=ATTACK,
        numerics=ATTACK,
        recipe={"backbone": ATTACK},
        data={"source": ATTACK, "notes": [ATTACK]},
        backbone_facts={"licence": ATTACK},
        environment={ATTACK: ATTACK},
    )


@pytest.mark.parametrize("kind", ["image", "text", "audio"])
def test_the_page_is_well_formed_and_asks_no_other_host(kind):
    page = render(sample_record(kind))
    parsed = Page(page)
    assert parsed.tags.count("h1") == 1
    assert parsed.tags.count("svg") == 6
    assert "http" not in page.replace("http-equiv", "")
    ids = [value for name, value in parsed.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    told = {value for name, value in parsed.attributes if name == "aria-labelledby"}
    assert {name for names in told for name in names.split()} <= set(ids)


@pytest.mark.parametrize("kind", ["image", "text", "audio"])
def test_nothing_of_the_users_becomes_markup(kind):
    page = render(spoilt(sample_record(kind)))
    parsed = Page(page)
    assert "script" not in parsed.tags
    assert not any(name.startswith("on") for name, _ in parsed.attributes)
    assert "&lt;script&gt;" in page
    assert "\x1b" not in page
    assert "\x00" not in page


def test_the_same_record_gives_the_same_bytes(tmp_path):
    first = write_report(sample_record(), tmp_path).read_bytes()
    assert write_report(sample_record(), tmp_path).read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_the_headline_is_a_sentence():
    record = bare()
    wanted = "On 160 photos it had never seen, the adapted model is right 88 % of the time (95 % interval 81–92 %)."
    assert wording.headline(record).replace("\N{NO-BREAK SPACE}", " ") == wanted
    assert wanted in render(record).replace("\N{NO-BREAK SPACE}", " ")


def test_without_test_examples_it_says_so_and_claims_nothing():
    record = sample_record(
        metrics=None,
        metrics_missing="all 4 examples were needed for training",
        test_examples=0,
        baselines=dict.fromkeys(("majority", "linear_probe")),
        sections=[],
        judged=[],
        history=[],
        depths=[],
        calibration=Calibration(1.3),
        abstention=None,
        growth=Growth(missing="there are too few"),
        validation={},
        compared=0,
        max_abs_difference=math.nan,
    )
    page = render(record)
    assert "There were no test examples: all 4 examples were needed for training." in page
    assert "was not measured" in page
    assert "nan" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL).split()
    assert "divides all its logits by 1.30" in page
    assert "That was not measured: there are too few." in page
    assert "<svg" not in page


def test_history_without_validation_or_with_losses_that_are_no_numbers():
    history = [
        {"stage": "thawed", "epoch": float(epoch), "train_loss": loss, "validation": {}}
        for epoch, loss in enumerate((math.nan, None, 0.4))
    ]
    page = render(sample_record(history=history))
    assert "no validation split to choose by" in page
    assert "Learning curve" in page


def test_a_baseline_that_had_not_converged_is_said_to_be_so():
    assert render(bare()).count("not converged") == 2


def said(sentence: str) -> str:
    return sentence.replace("\N{NO-BREAK SPACE}", " ")


def test_how_sure_it_is_follows_from_the_numbers():
    record = sample_record()
    assert said(certainty.calibration(record)) == (
        "On examples outside the test that it had not learnt from, it was too sure, so the model divides all its "
        "logits by 1.42. No answer changes by that. On the test examples its probabilities are off by 1.9 points on "
        "average, before by 7.1. Probabilities that hold exactly would seem off by up to 4.8 on as few."
    )
    assert said(certainty.abstention(record)) == (
        "An answer that is less than 71 % sure is marked as unsure. On examples outside the test that it had not "
        "learnt from, 94 % of the other answers were right. Of the test examples, 80 % (95 % interval 73–85 %) are at "
        "least as sure, and of these 94 % (95 % interval 88–97 %) are right; of all, 88 %."
    )
    plain = bare(calibration=dataclasses.replace(record.calibration, temperature=1.0))
    assert "held within noise, so they are left as they are" in certainty.calibration(plain)
    assert "too few examples to calibrate" in certainty.calibration(bare())
    unmarked = bare(abstention=dataclasses.replace(record.abstention, threshold=None))
    assert "No answer is marked as unsure" in certainty.abstention(unmarked)


@pytest.mark.parametrize(
    ("low", "high", "sentence"),
    [
        (0.02, 0.08, "More examples would help: with 200 examples a linear head is 5 points better than with 100"),
        (-0.01, 0.015, "More examples of this kind would gain little"),
        (-0.02, 0.09, "These are too few to tell"),
    ],
)
def test_whether_more_examples_would_help_follows_from_the_interval(low, high, sentence):
    growth = sample_record().growth
    record = bare(growth=dataclasses.replace(growth, gain=Point(200, 0.05, low, high, 200)))
    assert sentence in certainty.growth(record)
    assert "Would more examples help?" in render(record)


def test_the_spread_over_seeds_is_said_where_there_were_several():
    assert "Trained with 3 seeds" in render(sample_record("text", seed_scores=[0.81, 0.84, 0.79]))
    assert "seeds, it scored" not in render(sample_record("text", seed_scores=[0.81]))


@pytest.mark.parametrize("split", ["test", "validation"])
def test_scores_by_depth_name_the_split_they_were_taken_on(split):
    row = {"keep": 1, "split": split, "score": 0.5, "ci_low": 0.4, "ci_high": 0.6, "seconds": 1.0, "bytes": 1}
    page = render(sample_record("image", depths=[row, {**row, "keep": 2}]))
    assert f"on the {split} split, with 95 % intervals" in page
    assert ("Nothing was chosen by it" in page) == (split == "test")


def test_strip_tells_frozen_thawed_head_and_dropped_apart():
    states = [state for state, _ in strip(sample_record(blocks=5, keep=4, freeze=2))]
    assert states == ["frozen", "frozen", "thawed", "thawed", "head", "dropped"]


def test_many_classes_show_the_most_frequent_confusions_instead_of_a_matrix():
    labels = tuple(f"class {number}" for number in range(40))
    counts = np.eye(40, dtype=int) * 9
    counts[7, 3] = 5
    section = Matrix(list(labels), counts.tolist())
    record = bare(labels=labels, sections=[section])
    assert pairs(section)[0] == ("class 7", "class 3", 5, 14)
    page = render(record)
    assert "most frequent confusions among 40 classes" in page
    assert '<table class="matrix' not in page


def test_mistakes_are_the_most_certain_ones_and_right_ones_span_the_range():
    record = sample_record("text")
    wrong = [exhibit.judged.score for exhibit in mistakes(record)]
    assert len(wrong) == MISTAKES
    assert wrong == sorted(wrong, reverse=True)
    correct = [judged.score for judged in record.judged if judged.predicted == judged.target]
    shown = [exhibit.judged.score for exhibit in right(record)]
    assert (shown[0], shown[-1]) == (min(correct), max(correct))


@pytest.mark.parametrize("kind", ["image", "audio"])
def test_media_that_are_gone_or_damaged_do_not_fail_the_report(kind, tmp_path):
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"\xff\xd8\xff not a picture")
    judged = [
        Judged(str(number), path, "a", "b", 0.9)
        for number, path in enumerate((str(damaged), "/gone", "", "\x00", "x" * 5000))
    ]
    assert render(bare(kind, judged=judged)).count("can no longer be read") == 5


def test_pictures_become_thumbnails(tmp_path):
    from PIL import Image

    path = tmp_path / "a b.png"
    Image.new("RGBA", (900, 500), (200, 0, 0, 128)).save(path)
    page = render(bare(judged=[Judged("a", str(path), "a", "b", 0.9)]))
    assert "data:image/jpeg;base64," in page


@pytest.mark.parametrize("kind", ["image", "audio"])
def test_the_page_stays_below_5_mb_whatever_the_data(kind, tmp_path):
    path = tmp_path / "noise"
    write_noise(kind, path)
    long = "very long " * 500
    labels = tuple(f"{number} {long}" for number in range(600))
    record = bare(
        kind,
        labels=labels,
        judged=[Judged(long, str(path), labels[n % 2], labels[n % 3], 0.9) for n in range(100)],
        sections=[
            Matrix(list(labels), np.ones((600, 600), int).tolist()),
            Table(long, [long] * 5, ["name"] * 5, [[long] * 5] * 5000),
            Scatter([0.1 * n for n in range(20_000)], [0.2 * n for n in range(20_000)]),
        ],
        counts={"train": dict.fromkeys(labels, 1)},
        skipped=[{"name": long, "error": long}] * 5000,
        data={"source": long, "notes": [long] * 5000},
        history=sample_record().history * 30,
    )
    assert len(write_report(record, tmp_path).read_bytes()) < 5_000_000


def write_noise(kind, path):
    random = np.random.default_rng(0)
    if kind == "image":
        from PIL import Image

        Image.fromarray(random.integers(0, 255, (300, 300, 3), np.uint8)).save(path, "PNG")
    else:
        import soundfile

        soundfile.write(path, random.uniform(-1, 1, 8 * 44_100), 44_100, format="WAV")


def test_names_that_no_encoding_knows_are_written(tmp_path):
    labels = ("caf\udce9", "花", "\u202egnp.exe", "d", "e")
    record = bare(labels=labels, sections=[Matrix(list(labels), np.eye(5, dtype=int).tolist())])
    page = write_report(record, tmp_path).read_text(encoding="utf-8")
    assert "花" in page
    assert "\u202e" not in page


def test_folders_of_the_users_machine_stay_there():
    page = render(bare(recipe={"backbone": "/home/someone/weights", "task": "auto"}))
    assert "/home/someone" not in page
    assert "backbone = &#34;weights&#34;" in page


def test_an_unwritable_folder_is_an_error_with_a_hint(tmp_path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(MachineError):
        write_report(bare(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (1.0, "100 %"), (0.866, "87 %"), (0.9996, "99.9 %"), (0.004, "0.4 %"), (0.00001, "0.1 %")],
)
def test_only_what_is_exact_looks_exact(share, text):
    assert wording.percent(share).replace("\N{NO-BREAK SPACE}", " ") == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (38.2, "38 s"), (125, "2 min 5 s"), (3785, "1 h 3 min")]
)
def test_durations_have_two_units(seconds, text):
    assert wording.duration(seconds).replace("\N{NO-BREAK SPACE}", " ") == text


def test_drawing_leaves_matplotlib_as_it_was():
    from matplotlib import rcParams

    before = dict(rcParams)
    render(sample_record())
    assert dict(rcParams) == before


def test_the_time_beside_the_controls_is_that_of_learning() -> None:
    """Not that of the whole run, most of which went into the controls."""
    page = render(sample_record("image", learning_seconds=83.0, seconds={"total": 6000.0}))
    row = page[page.index('<tr class="own"><th scope="row">Adapted model') :]
    assert row[: row.index("</tr>")].endswith("<td>1\N{NO-BREAK SPACE}min 23\N{NO-BREAK SPACE}s</td>")
