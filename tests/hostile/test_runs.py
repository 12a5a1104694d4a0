"""Whole runs on hostile data: what they print and write cannot steer a terminal, a browser or a spreadsheet."""

from __future__ import annotations

import re
import signal
from html.parser import HTMLParser
from pathlib import Path

import pytest

from headstart import model as model_module
from headstart.cli import main
from headstart.data import isolation
from networks import write_network
from samples import reviews, write_photos, write_sounds, write_table
from unit.test_isolation import SABOTAGE

pytestmark = pytest.mark.slow

ATTACK = "<script>alert(1)</script><img src=x onerror=alert(1)>"
STEERING = "\x1b]0;owned\x07\x1b[31m\u202e"
FORMULA = "=HYPERLINK(A1)"
SETTINGS = ["--keep", "all", "--freeze", "2", "--epochs", "1", "--no-baselines"]


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(model_module, "_verify", lambda *_: None)
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


class Tags(HTMLParser):
    """Collects the tags of a page and their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def require_harmless_page(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    assert "<script>alert" not in page
    for tag, attributes in Tags(page).found:
        assert tag != "script" or "alert" not in str(attributes)
        assert not [name for name in attributes if name.startswith("on")], (path.name, tag)
        assert attributes.get("src", "data:").startswith("data:")


def test_names_labels_and_texts_stay_what_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = (f"{ATTACK}{STEERING}", FORMULA)
    rows = [
        {"text": f"{row['text']} {ATTACK} {STEERING} {FORMULA}", "label": labels[row["label"] == "positive"]}
        for row in reviews(24)
    ]
    data = write_table(tmp_path / f"a{STEERING[1:5]}<b>.csv", rows)
    network, model = write_network(tmp_path / "network"), tmp_path / "model"
    capsys.readouterr()
    assert run("fit", data, "--backbone", network, "--output-dir", model, *SETTINGS) == 0
    assert run("predict", model, data) == 0
    assert run("predict", model, "--text", f"{ATTACK}{STEERING}\n{FORMULA}") == 0
    assert run("evaluate", model, data) in (0, 1)
    said = capsys.readouterr()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", said.out + said.err)
    require_harmless_page(model / "report.html")
    card = (model / "README.md").read_text(encoding="utf-8")
    assert "<script" not in card
    assert "\x1b" not in card


def test_photos_with_hostile_names_in_hostile_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_photos(tmp_path / "photos", per_class=12)
    (data / "colour0").rename(data / f"{FORMULA}{STEERING}")
    (data / "colour1").rename(data / "<img src=x onerror=alert(1)>")
    (data / f"{FORMULA}{STEERING}/photo0.png").write_bytes(b"a text")
    network, model = write_network(tmp_path / "network", "vit"), tmp_path / "model"
    capsys.readouterr()
    assert run("fit", data, "--backbone", network, "--output-dir", model, *SETTINGS) == 0
    assert run("predict", model, data) == 0
    said = capsys.readouterr()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", said.out + said.err)
    require_harmless_page(model / "report.html")


def test_a_decoder_that_crashes_costs_fit_and_predict_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "startup").mkdir()
    (tmp_path / "startup/sitecustomize.py").write_text(SABOTAGE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "startup"))
    isolation._close_all()
    data = write_photos(tmp_path / "photos", per_class=12)
    (data / "colour0/photo0.png").rename(data / "colour0/crash.png")
    network, model = write_network(tmp_path / "network", "vit"), tmp_path / "model"
    assert run("fit", data, "--backbone", network, "--output-dir", model, *SETTINGS) == 0
    name = f"({signal.SIGSEGV.name})"
    assert f"skipped colour0/crash.png: it made its decoder crash {name}" in capsys.readouterr().err
    assert run("predict", model, data / "colour0/crash.png", data / "colour1/photo1.png") == 0
    said = capsys.readouterr()
    assert f"crash.png: made its decoder crash {name}" in said.err
    assert "photo1.png" in said.out
    isolation._close_all()


def test_what_decoders_say_is_not_heard_and_what_is_cut_short_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = write_sounds(tmp_path / "sounds", per_class=12, ending="mp3")
    for number in range(4):
        path = data / f"pitch0/sound{number}.mp3"
        path.write_bytes(path.read_bytes()[:-600] + bytes(100))
    network, model = write_network(tmp_path / "network", "wav2vec2"), tmp_path / "model"
    assert run("fit", data, "--backbone", network, "--output-dir", model, *SETTINGS) == 0
    err = capfd.readouterr().err
    assert "Illegal Audio-MPEG-Header" not in err
    assert "4 recordings are used as far as they go: `pitch0/sound0.mp3` is cut short" in err
    assert run("predict", model, data / "pitch0/sound0.mp3") == 0
    assert "sound0.mp3` is cut short" in capfd.readouterr().err
