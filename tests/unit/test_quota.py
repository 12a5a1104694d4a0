"""The cache stays within its quota: the least recently used leaves first, whole, and never what a run uses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from headstart.cli import application
from headstart.errors import UsageError
from headstart.events import Event
from headstart.features.cache import FeatureCache
from headstart.features.quota import DEFAULT_BYTES, quota_bytes

USE = """
import sys, time
from pathlib import Path
from headstart.features.cache import FeatureCache
cache = FeatureCache(Path(sys.argv[1]))
cache.entry({"weights": sys.argv[2]}, ())
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    return tmp_path / "features"


def fill(folder: Path, name: str, values: int = 1000) -> int:
    """Store an entry called `name`, let it go, and return its size."""
    cache = FeatureCache(folder)
    entry = cache.entry({"weights": name}, ())
    size = entry.append([name], [{"x": np.zeros(values, np.float32)}])
    cache.close()
    time.sleep(0.01)  # the order of use is told by the clock
    return size


def present(folder: Path, *names: str) -> list[str]:
    cache = FeatureCache(folder)
    keys = {key for (key,) in cache._catalogue.select("SELECT DISTINCT entry FROM shard")}
    found = [name for name in names if cache.entry({"weights": name}, ()).folder.name in keys]
    cache.close()
    return found


def make_room(folder: Path, needed: int, *, using: str = "new") -> tuple[bool, list[Event]]:
    cache, heard = FeatureCache(folder), []
    enough = cache.entry({"weights": using}, ()).make_room(needed, heard.append)
    cache.close()
    return enough, heard


@pytest.mark.parametrize(
    ("given", "size"),
    [
        ("", DEFAULT_BYTES),
        ("0", 0),
        ("1000", 1000),
        ("500 MB", 5 * 10**8),
        ("1.5gb", 15 * 10**8),
        (" 2 TB ", 2 * 10**12),
    ],
)
def test_a_quota_is_a_size(monkeypatch: pytest.MonkeyPatch, given: str, size: int) -> None:
    monkeypatch.setenv("HEADSTART_CACHE_QUOTA", given)
    assert quota_bytes() == size


@pytest.mark.parametrize("given", ["much", "-1", "-5 GB", "5 GiB", "GB", "1e999", "nan", "inf TB", "5 5"])
def test_what_is_no_size_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("HEADSTART_CACHE_QUOTA", given)
    with pytest.raises(UsageError, match="HEADSTART_CACHE_QUOTA"):
        quota_bytes()


def test_within_the_quota_nothing_leaves(folder: Path) -> None:
    fill(folder, "a")
    assert make_room(folder, 10**9) == (True, [])
    assert present(folder, "a") == ["a"]


def test_the_least_recently_used_leaves_first_and_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = fill(folder, "a")
    for name in ("b", "c"):
        fill(folder, name)
    fill(folder, "a")  # used again, and twice as large now
    monkeypatch.setenv("HEADSTART_CACHE_QUOTA", str(4 * size))
    enough, heard = make_room(folder, size)
    assert enough
    assert len(heard) == 1
    assert present(folder, "a", "b", "c") == ["a", "c"]
    assert len(list(folder.glob("*/*.safetensors"))) == 3


def test_what_cannot_fit_makes_nothing_leave(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = fill(folder, "a")
    monkeypatch.setenv("HEADSTART_CACHE_QUOTA", str(2 * size))
    assert make_room(folder, 3 * size) == (False, [])
    assert present(folder, "a") == ["a"]


def test_a_run_does_not_evict_what_it_uses_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = fill(folder, "a")
    monkeypatch.setenv("HEADSTART_CACHE_QUOTA", str(size))
    assert make_room(folder, size, using="a") == (False, [])


def test_what_another_process_uses_stays_until_it_ends(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = fill(folder, "a")
    fill(folder, "b")
    monkeypatch.setenv("HEADSTART_CACHE_QUOTA", str(2 * size))
    user = subprocess.Popen([sys.executable, "-c", USE, str(folder), "a"], stdout=subprocess.PIPE, text=True)
    try:
        assert user.stdout.readline() == "ready\n"
        assert make_room(folder, size)[0]
        assert present(folder, "a", "b") == ["a"]
        assert not make_room(folder, 2 * size)[0]
    finally:
        user.send_signal(signal.SIGKILL)
        user.communicate()
    assert make_room(folder, 2 * size)[0]
    assert present(folder, "a") == []


def test_what_a_killed_eviction_left_is_swept(folder: Path) -> None:
    fill(folder, "a")
    cache = FeatureCache(folder)
    with cache._catalogue.transaction() as database:
        database.execute("DELETE FROM shard")
        database.execute("DELETE FROM entry")
    cache.close()
    (left,) = folder.glob("*/*.safetensors")
    FeatureCache(folder).close()
    assert left.exists()
    os.utime(left, (0, 0))
    FeatureCache(folder).close()
    assert not left.exists()


HURRY = """
import sys
from pathlib import Path
import numpy as np
from headstart.errors import DataError
from headstart.features.cache import FeatureCache
folder, seed = Path(sys.argv[1]), int(sys.argv[2])
random = np.random.default_rng(seed)
for turn in range(40):
    name, example = f"entry {random.integers(4)}", f"example {random.integers(3)}"
    value = float(sum(map(ord, name + example)))
    cache = FeatureCache(folder)
    entry = cache.entry({"weights": name}, ())
    if entry.missing([example]) and entry.make_room(4000):
        entry.append([example], [{"x": np.full(1000, value, np.float32)}])
    if not entry.missing([example]):
        ((shard, place),) = entry.rows([example])
        if not (shard.row(place)["x"] == value).all():
            sys.exit(f"{name} gave the features of another example")
    cache.close()
"""


@pytest.mark.slow
def test_many_processes_share_a_cache_that_is_too_small(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE_QUOTA", "20000")
    command = [sys.executable, "-c", HURRY, str(folder)]
    running = [subprocess.Popen([*command, str(seed)], stderr=subprocess.PIPE, text=True) for seed in range(6)]
    errors = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0] * 6, errors
    # Rows that several runs compute at once are not counted by each other.
    assert FeatureCache(folder).usage()[0] <= 20_000 + 6 * 5_000


def run(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, int]:
    application()(["cache", *words, "--json"], standalone_mode=False)
    return json.loads(capsys.readouterr().out)


def test_the_command_counts_and_clears(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = fill(folder, "a") + fill(folder, "b")
    (folder.parent / "copies").mkdir()
    (folder.parent / "copies" / "1.png").write_bytes(b"x")
    assert run(capsys) == {"bytes": size, "entries": 2, "quota": DEFAULT_BYTES}
    assert run(capsys, "--clear") == {"bytes": 0, "entries": 0, "quota": DEFAULT_BYTES}
    assert not list(folder.glob("*/*.safetensors"))
    assert not (folder.parent / "copies").exists()


def test_clearing_leaves_what_is_in_use(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = fill(folder, "a")
    fill(folder, "b")
    cache = FeatureCache(folder)
    cache.entry({"weights": "a"}, ())
    assert run(capsys, "--clear") == {"bytes": size, "entries": 1, "quota": DEFAULT_BYTES}
    cache.close()
