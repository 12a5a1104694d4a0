"""Recordings that end early are named with what is there; whole ones, and those that nobody can judge, are not."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import soundfile

from headstart.data.dataset import open_dataset
from headstart.data.truncation import cut_short
from samples import tone, write_sounds


def recording(folder: Path, ending: str, **options) -> Path:
    path = folder / f"a.{ending}"
    soundfile.write(path, tone(440, 2.0, 16_000), 16_000, **options)
    return path


def cut(path: Path, share: float = 0.5) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


@pytest.mark.parametrize(
    ("ending", "options"),
    [("wav", {}), ("wav", {"format": "WAVEX"}), ("wav", {"endian": "BIG"}), ("ogg", {}), ("ogg", {"subtype": "OPUS"})]
    + [("mp3", {}), ("flac", {})],
)
def test_whole_recordings_are_whole(tmp_path: Path, ending: str, options: dict[str, str]) -> None:
    assert cut_short(recording(tmp_path, ending, **options)) is None


@pytest.mark.parametrize(
    ("ending", "options", "told"),
    [
        ("wav", {}, "49 % of its sound"),
        ("wav", {"format": "WAVEX"}, "49 % of its sound"),
        ("wav", {"endian": "BIG"}, "49 % of its sound"),
        ("ogg", {}, "last page is missing"),
        ("ogg", {"subtype": "OPUS"}, "last page is missing"),
        ("mp3", {}, "50 % of its sound"),
    ],
)
def test_half_recordings_are_told(tmp_path: Path, ending: str, options: dict[str, str], told: str) -> None:
    assert told in cut_short(cut(recording(tmp_path, ending, **options)))


def test_a_last_page_that_is_cut_is_missing(tmp_path: Path) -> None:
    path = recording(tmp_path, "ogg")
    path.write_bytes(path.read_bytes()[:-10])
    assert cut_short(path) == "is cut short: its last page is missing"


def test_a_tag_before_the_sound_is_no_sound(tmp_path: Path) -> None:
    path = recording(tmp_path, "mp3")
    path.write_bytes(b"ID3\x04\0\0" + bytes([0, 0, 0x4E, 0x20]) + bytes(10_016) + path.read_bytes())
    assert cut_short(path) is None
    assert "% of its sound" in cut_short(cut(path, 0.8))


@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF])
def test_a_stream_that_says_no_length_is_not_judged(tmp_path: Path, claimed: int) -> None:
    path = recording(tmp_path, "wav")
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"data") + 4, claimed)
    path.write_bytes(data)
    assert cut_short(path) is None


@pytest.mark.parametrize("content", [b"", b"R", b"RIFF", b"OggS", b"ID3", b"\xff", b"RIFF" + bytes(8) + b"\xff" * 40])
def test_what_is_no_recording_is_not_judged_and_nothing_raises(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    assert cut_short(tmp_path / "a") in (None, "is cut short: its last page is missing")
    assert cut_short(tmp_path / "none") is None


def test_a_data_set_says_which_and_how_many(tmp_path: Path) -> None:
    folder = write_sounds(tmp_path, classes=2, per_class=6)
    for number in range(5):
        cut(folder / f"pitch0/sound{number}.wav", 0.5 + number / 20)
    (note,) = [note for note in open_dataset(folder).notes if "as far as they go" in note]
    assert note.startswith("5 recordings are used as far as they go: `pitch0/sound0.wav` is cut short, with 4")
    assert note.endswith("and 2 more.")
