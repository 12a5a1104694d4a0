"""The catalogue and its shards: found again, never another's, never half, never damaged."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest

from headstart.errors import DataError, MachineError, NoSpace
from headstart.features.cache import Entry, FeatureCache

FACTS = {"weights": "w", "depth": 1}


def rows(names: list[str]) -> list[dict[str, np.ndarray]]:
    return [{"x": np.full(3, sum(map(ord, name)), np.float32)} for name in names]


def fill(entry: Entry, *names: str) -> None:
    entry.append(names, rows(list(names)), seconds=float(len(names)))


def values(entry: Entry, *names: str) -> list[float]:
    return [float(shard.row(position)["x"][0]) for shard, position in entry.rows(names)]


def expected(*names: str) -> list[float]:
    return [float(sum(map(ord, name))) for name in names]


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return FeatureCache(tmp_path).entry(FACTS, ())


def shards(entry: Entry) -> list[Path]:
    return sorted(entry.folder.glob("*.safetensors"))


def reopened(entry: Entry) -> Entry:
    return FeatureCache(entry.folder.parent).entry(FACTS, ())


def test_rows_are_found_again_in_any_order(entry: Entry) -> None:
    fill(entry, "a", "b")
    fill(entry, "c")
    again = reopened(entry)
    assert again.missing(["c", "a", "b"]) == set()
    assert values(again, "c", "a", "b", "a") == expected("c", "a", "b", "a")


def test_only_what_is_new_is_missing(entry: Entry) -> None:
    fill(entry, "a", "b")
    assert reopened(entry).missing(["a", "new", "b"]) == {"new"}


@pytest.mark.parametrize("change", [{"depth": 2}, {"weights": "other"}, {"storage": "float32"}])
def test_other_facts_are_another_entry(entry: Entry, change: dict[str, object]) -> None:
    fill(entry, "a")
    other = FeatureCache(entry.folder.parent).entry(FACTS | change, ())
    assert other.folder != entry.folder
    assert other.missing(["a"]) == {"a"}


def test_the_order_of_the_facts_does_not_matter(entry: Entry) -> None:
    other = FeatureCache(entry.folder.parent).entry(dict(reversed(FACTS.items())), ())
    assert other.folder == entry.folder


def test_bytes_and_seconds_are_those_of_the_shards(entry: Entry) -> None:
    fill(entry, "a", "b")
    fill(entry, "c")
    assert entry.bytes() == sum(path.stat().st_size for path in shards(entry))
    assert entry.seconds_of(["a", "c"]) == 2.0
    assert entry.seconds_of(["a", "b", "c"]) == 3.0
    assert entry.seconds_of([]) == 0.0


def test_only_the_owner_may_read_features(entry: Entry) -> None:
    fresh = FeatureCache(entry.folder.parent / "new" / "cache")
    assert fresh.folder.stat().st_mode & 0o777 == 0o700
    assert fresh.entry(FACTS, ()).folder.stat().st_mode & 0o777 == 0o700


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [flip, truncate, empty, Path.unlink])
def test_damage_is_found_before_use_and_costs_only_its_shard(entry: Entry, damage) -> None:
    fill(entry, "a", "b")
    fill(entry, "c")
    (first,) = {path for path in shards(entry) if path.stat().st_size == max(p.stat().st_size for p in shards(entry))}
    damage(first)
    again = reopened(entry)
    assert again.missing(["a", "b", "c"]) == {"a", "b"}
    assert not first.exists()
    fill(again, "a", "b")
    assert values(reopened(entry), "a", "b", "c") == expected("a", "b", "c")


def test_damage_after_the_look_is_an_error_and_no_wrong_row(entry: Entry) -> None:
    fill(entry, "a")
    again = reopened(entry)
    flip(shards(entry)[0])
    with pytest.raises(DataError, match="is damaged"):
        again.rows(["a"])


def test_a_catalogue_that_swaps_rows_is_not_believed(entry: Entry) -> None:
    fill(entry, "a", "b")
    with sqlite3.connect(entry.folder.parent / "catalogue.sqlite") as database:
        database.execute("UPDATE row SET position = 1 - position")
    database.close()
    assert reopened(entry).missing(["a", "b"]) == {"a", "b"}


def test_rows_that_another_run_dropped_are_an_error_with_a_way_out(entry: Entry) -> None:
    fill(entry, "a")
    other = reopened(entry)
    flip(shards(entry)[0])
    assert reopened(entry).missing(["a"]) == {"a"}
    with pytest.raises(DataError, match="dropped by another run") as caught:
        other.rows(["a"])
    assert caught.value.hint == "run it again"


def test_two_runs_may_find_the_same_damage(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(entry, "a")
    flip(shards(entry)[0])
    first, second = reopened(entry), reopened(entry)
    positions = second._positions(["a"])
    assert first.missing(["a"]) == {"a"}
    answers = [positions]
    look = second._positions
    monkeypatch.setattr(second, "_positions", lambda wanted: answers.pop() if answers else look(wanted))
    assert second.missing(["a"]) == {"a"}


def test_two_runs_that_fill_the_same_entry_agree(tmp_path: Path) -> None:
    names = [f"example{number}" for number in range(30)]
    errors: list[BaseException] = []

    def run(order: list[str]) -> None:
        try:
            mine = FeatureCache(tmp_path).entry(FACTS, ())
            for start in range(0, len(order), 5):
                group = [name for name in order[start : start + 5] if name in mine.missing(order)]
                if group:
                    fill(mine, *group)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=run, args=(order,)) for order in (names, names[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    entry = FeatureCache(tmp_path).entry(FACTS, ())
    assert entry.missing(names) == set()
    assert values(entry, *names) == expected(*names)


@pytest.mark.parametrize("step", ["posix_fallocate", "fsync", "replace"])
def test_a_full_disk_keeps_earlier_rows_and_leaves_nothing_half_written(
    entry: Entry, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    fill(entry, "a")
    before = sorted(entry.folder.iterdir())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(NoSpace, match=r"needs [\d,]+ bytes and [\d,]+ are free") as caught:
        fill(entry, "b")
    monkeypatch.undo()
    assert str(entry.folder) in caught.value.message
    assert sorted(entry.folder.iterdir()) == before
    again = reopened(entry)
    assert again.missing(["a", "b"]) == {"b"}
    assert values(again, "a") == expected("a")


def test_a_catalogue_that_cannot_grow_is_a_full_disk_too(entry: Entry) -> None:
    fill(entry, "a")
    before = sorted(entry.folder.iterdir())
    ((pages,),) = entry._catalogue.select("PRAGMA page_count")
    entry._catalogue.select(f"PRAGMA max_page_count = {pages}")
    many = [f"example {number} with a long name" * 3 for number in range(200)]
    with pytest.raises(NoSpace, match="the disk is full"):
        fill(entry, *many)
    assert sorted(entry.folder.iterdir()) == before
    assert values(reopened(entry), "a") == expected("a")


NO_CATALOGUE = b"no database, and longer than a header of one would be" * 40


def test_a_damaged_catalogue_is_written_anew_from_the_shards(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    fill(cache.entry(FACTS, ()), "a", "b")
    cache.close()
    (tmp_path / "catalogue.sqlite").write_bytes(NO_CATALOGUE)
    again = FeatureCache(tmp_path).entry(FACTS, ())
    assert again.missing(["a", "b", "c"]) == {"c"}
    assert values(again, "a", "b") == expected("a", "b")


def test_a_damaged_catalogue_is_left_alone_while_another_run_has_it_open(entry: Entry) -> None:
    (entry.folder.parent / "catalogue.sqlite").write_bytes(NO_CATALOGUE)
    with pytest.raises(MachineError, match="cannot be used") as caught:
        FeatureCache(entry.folder.parent)
    assert "remove it" in caught.value.hint


def test_a_file_in_the_place_of_the_folder_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("x")
    with pytest.raises(MachineError, match="cannot be used") as caught:
        FeatureCache(tmp_path / "cache")
    assert "HEADSTART_CACHE" in caught.value.hint


def test_a_catalogue_that_may_only_be_read_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path)
    cache._catalogue.select("PRAGMA query_only = 1")
    with pytest.raises(MachineError, match="cannot be used") as caught:
        cache.entry(FACTS, ())
    assert "HEADSTART_CACHE" in caught.value.hint


def test_no_wal_file_is_ever_there(entry: Entry) -> None:
    fill(entry, "a")
    assert [path.name for path in entry.folder.parent.glob("catalogue*")] == ["catalogue.sqlite"]
    assert entry._catalogue.select("PRAGMA journal_mode") == [("delete",)]


KILL_POINTS = [("posix_fallocate", 0), ("fsync", 0), ("replace", 0), ("fsync", 1), ("register", 0)]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize(("step", "after"), KILL_POINTS)
def test_a_kill_at_any_step_loses_at_most_the_last_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, after: int
) -> None:
    child = os.fork()
    if not child:
        entry = FeatureCache(tmp_path).entry(FACTS, ())
        fill(entry, "a")
        calls = []

        def kill(*_: object) -> None:
            calls.append(1)
            if len(calls) > after:
                os.kill(os.getpid(), signal.SIGKILL)

        monkeypatch.setattr(entry if step == "register" else os, f"_{step}" if step == "register" else step, kill)
        fill(entry, "b")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    entry = FeatureCache(tmp_path).entry(FACTS, ())
    assert entry.missing(["a", "b"]) == {"b"}
    fill(entry, "b")
    assert values(entry, "a", "b") == expected("a", "b")


def test_what_a_kill_left_is_swept_away_once_it_is_old(entry: Entry) -> None:
    fill(entry, "a")
    left = [entry.folder / "abandoned.safetensors", entry.folder / ".half.safetensors.1.tmp"]
    for path in left:
        path.write_bytes(b"x")
    reopened(entry)
    assert all(path.exists() for path in left)
    for path in [*left, *shards(entry)]:
        os.utime(path, (0, 0))
    again = reopened(entry)
    assert not any(path.exists() for path in left)
    assert values(again, "a") == expected("a")
