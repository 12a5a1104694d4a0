"""Decoding in processes of their own: a crash, a hang or a full memory costs the file that caused it, and no other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from headstart.data import isolation, media
from headstart.errors import MachineError, MissingExtra, UnreadableFile
from samples import tone, write_photos

# Read by Python as it starts: decoders that fail as the name of the file says.
SABOTAGE = """
import os, signal, time
from PIL import Image
opened = Image.open
def sabotaged(path, **options):
    name = os.path.basename(path)
    if "crash" in name:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "once" in name and not os.path.exists(f"{path}.tried"):
        open(f"{path}.tried", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    if "hang" in name:
        time.sleep(60)
    if "fill" in name:
        held = bytearray(3 << 30)
    if "exit" in name:
        os._exit(3)
    return opened(path, **options)
Image.open = sabotaged
"""


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Start with no process, and leave none that a test has changed."""
    isolation._close_all()
    yield
    isolation._close_all()


@pytest.fixture
def sabotaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a photo in a folder where decoders of other processes fail as names say."""
    (tmp_path / "startup").mkdir()
    (tmp_path / "startup/sitecustomize.py").write_text(SABOTAGE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "startup"))
    return write_photos(tmp_path, classes=1, per_class=1) / "colour0/photo0.png"


def renamed(photo: Path, name: str) -> Path:
    (photo.parent / name).write_bytes(photo.read_bytes())
    return photo.parent / name


def test_what_comes_back_is_what_is_decoded_here(tmp_path: Path) -> None:
    photo = write_photos(tmp_path, classes=1, per_class=1, size=37) / "colour0/photo0.png"
    assert np.array_equal(np.asarray(isolation.open_image(photo)), np.asarray(media.open_image(photo)))
    soundfile.write(tmp_path / "a.ogg", tone(440, 1.0, 44_100), 44_100)
    for limit in (None, 0.25):
        here = media.open_audio(tmp_path / "a.ogg", 16_000, max_seconds=limit)
        assert np.array_equal(isolation.open_audio(tmp_path / "a.ogg", 16_000, max_seconds=limit), here)
    assert isolation.audio_seconds(tmp_path / "a.ogg") == media.audio_seconds(tmp_path / "a.ogg")
    assert len(isolation._idle) == 1


def test_errors_come_back_with_the_path_that_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.png").write_bytes(b"a text")
    with pytest.raises(UnreadableFile, match="^`a.png` is not an image") as caught:
        isolation.open_image(Path("a.png"))
    assert caught.value.path == Path("a.png")


def test_names_that_no_encoding_knows(tmp_path: Path) -> None:
    photo = write_photos(tmp_path, classes=1, per_class=1) / "colour0/photo0.png"
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe\n.png"))
    photo.rename(odd)
    assert isolation.open_image(odd).size == (32, 32)
    with pytest.raises(UnreadableFile, match="exist"):
        isolation.open_image(tmp_path / "a\0b.png")


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "soxr.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(MissingExtra, match=r"headstart\[audio\]"):
        isolation.open_audio(tmp_path / "a.wav", 16_000)


def test_a_process_that_cannot_start_is_no_fault_of_the_file(
    tmp_path: Path, sabotaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "startup/numpy.py").write_text("raise ImportError")
    with pytest.raises(MachineError, match="does not start"):
        isolation.open_image(sabotaged)


def test_a_crash_costs_one_file(sabotaged: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"made its decoder crash \(SIGSEGV\)"):
        isolation.open_image(renamed(sabotaged, "crash.png"))
    assert isolation.open_image(sabotaged).size == (32, 32)
    with pytest.raises(UnreadableFile, match="stop with exit status 3"):
        isolation.open_image(renamed(sabotaged, "exit.png"))


def test_a_process_that_the_system_ended_gets_another_try(sabotaged: Path) -> None:
    assert isolation.open_image(renamed(sabotaged, "once.png")).size == (32, 32)


def test_a_decoder_that_does_not_end_is_ended(sabotaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "SECONDS_AT_MOST", 1.0)
    with pytest.raises(UnreadableFile, match="kept its decoder busy for 1 s"):
        isolation.open_image(renamed(sabotaged, "hang.png"))


def test_a_decoder_that_fills_the_memory_is_refused_it(sabotaged: Path) -> None:
    with pytest.raises(UnreadableFile, match="needs more memory"):
        isolation.open_image(renamed(sabotaged, "fill.png"))


def test_threads_have_a_process_each_and_mix_nothing_up(tmp_path: Path) -> None:
    for number in range(40):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number}.png")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(isolation.open_image, (tmp_path / f"{number}.png" for number in range(40))))
    assert [image.getpixel((0, 0))[0] for image in found] == list(range(40))
    assert 1 <= len(isolation._idle) <= 4


def test_modules_in_the_users_folder_are_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo = write_photos(tmp_path / "data", classes=1, per_class=1) / "colour0/photo0.png"
    for name in ("PIL", "numpy", "json", "headstart", "soundfile"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    assert isolation.open_image(photo).size == (32, 32)
    assert not (tmp_path / "canary").exists()


@pytest.mark.slow
def test_a_forked_process_does_not_share(tmp_path: Path) -> None:
    write_photos(tmp_path, classes=1, per_class=1)
    code = (
        "import os, sys; from pathlib import Path; from headstart.data import isolation\n"
        f"photo = Path({str(tmp_path / 'colour0/photo0.png')!r})\n"
        "isolation.open_image(photo)\n"
        "child = os.fork()\n"
        "for _ in range(20): assert isolation.open_image(photo).size == (32, 32)\n"
        "if child: assert os.waitpid(child, 0)[1] == 0\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
